import java.io.ByteArrayInputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileAlreadyExistsException;
import org.apache.hadoop.fs.FileRange;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.MultipartUploader;
import org.apache.hadoop.fs.PartHandle;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.UploadHandle;
import org.apache.hadoop.io.IntWritable;
import org.apache.hadoop.io.LongWritable;
import org.apache.hadoop.io.Text;
import org.apache.hadoop.mapreduce.Job;
import org.apache.hadoop.mapreduce.Mapper;
import org.apache.hadoop.mapreduce.Reducer;
import org.apache.hadoop.mapreduce.lib.input.FileInputFormat;
import org.apache.hadoop.mapreduce.lib.output.FileOutputFormat;

/** Hadoop's S3A: a bucket as a file system under several settings, and a job with each of its committers. */
public class Main {
    static final URI BUCKET = URI.create("s3a://" + System.getenv("BUCKET") + "/");
    static final String FOLDER = System.getProperty("java.io.tmpdir");
    static final String[][] SETTINGS = {
        {},
        {"fs.s3a.directory.marker.retention", "delete", "fs.s3a.list.version", "1"},
        {"fs.s3a.checksum.algorithm", "CRC32C", "fs.s3a.fast.upload.buffer", "bytebuffer", "fs.s3a.encryption.algorithm", "SSE-C",
            "fs.s3a.encryption.key", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="},
        {"fs.s3a.multiobjectdelete.enable", "false", "fs.s3a.input.fadvise", "random"},
    };

    public static class Split extends Mapper<LongWritable, Text, Text, IntWritable> {
        @Override
        public void map(LongWritable place, Text line, Context context) throws IOException, InterruptedException {
            for (String word : line.toString().split(" ")) {
                context.write(new Text(word), new IntWritable(1));
            }
        }
    }

    public static class Sum extends Reducer<Text, IntWritable, Text, IntWritable> {
        @Override
        public void reduce(Text word, Iterable<IntWritable> ones, Context context) throws IOException, InterruptedException {
            int sum = 0;
            for (IntWritable one : ones) {
                sum += one.get();
            }
            context.write(word, new IntWritable(sum));
        }
    }

    static Configuration settings(String... pairs) {
        Configuration settings = new Configuration();
        settings.set("fs.s3a.endpoint", System.getenv("AWS_ENDPOINT_URL"));
        settings.set("fs.s3a.endpoint.region", System.getenv("AWS_REGION"));
        settings.set("fs.s3a.access.key", System.getenv("AWS_ACCESS_KEY_ID"));
        settings.set("fs.s3a.secret.key", System.getenv("AWS_SECRET_ACCESS_KEY"));
        settings.set("fs.s3a.path.style.access", "true");
        settings.set("fs.s3a.multipart.size", "5M");
        settings.set("hadoop.tmp.dir", FOLDER);
        for (int place = 0; place < pairs.length; place += 2) {
            settings.set(pairs[place], pairs[place + 1]);
        }
        return settings;
    }

    static byte[] content(int size) {
        byte[] data = new byte[size];
        new Random(size).nextBytes(data);
        return data;
    }

    static void expect(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    static void write(FileSystem files, Path path, byte[] data) throws IOException {
        try (FSDataOutputStream output = files.create(path, true)) {
            output.write(data);
        }
    }

    static byte[] read(FileSystem files, Path path) throws IOException {
        try (FSDataInputStream input = files.open(path)) {
            return input.readAllBytes();
        }
    }

    static void folders(FileSystem files, Path root) throws Exception {
        expect(files.mkdirs(new Path(root, "a/b/c")), "folders are not made");
        expect(files.getFileStatus(new Path(root, "a/b")).isDirectory(), "a folder is none");
        byte[] large = content(18 << 20);
        write(files, new Path(root, "a/b/small"), content(1000));
        write(files, new Path(root, "a/empty"), new byte[0]);
        write(files, new Path(root, "a/large ä+%"), large);
        expect(files.rename(new Path(root, "a"), new Path(root, "renamed")), "a folder is not renamed");
        expect(!files.exists(new Path(root, "a")), "the old name is still there");
        expect(Arrays.equals(read(files, new Path(root, "renamed/large ä+%")), large), "other bytes came back");
        expect(files.listStatus(new Path(root, "renamed")).length == 3, "a folder lists other files");
        expect(files.delete(new Path(root, "renamed/b/small"), false), "a file is not deleted");
        expect(files.exists(new Path(root, "renamed/b")), "its folder went with it");
        for (int number = 0; number < 12; number++) {
            write(files, new Path(root, "many/" + number % 3 + "/" + number), content(number));
        }
        expect(files.getContentSummary(new Path(root, "many")).getFileCount() == 12, "other files are counted");
        expect(files.globStatus(new Path(root, "many/*/1*")).length == 3, "other names match");
    }

    static void ranges(FileSystem files, Path path) throws Exception {
        byte[] large = content(18 << 20);
        write(files, path, large);
        try (FSDataInputStream input = files.open(path)) {
            byte[] some = new byte[100];
            input.readFully(15 << 20, some);
            expect(Arrays.equals(some, Arrays.copyOfRange(large, 15 << 20, (15 << 20) + 100)), "other bytes at 15 MiB");
            List<FileRange> ranges = new ArrayList<>();
            for (int number = 0; number < 15; number++) {
                ranges.add(FileRange.createFileRange(number * 1_000_000L, 5000));
            }
            input.readVectored(ranges, ByteBuffer::allocate);
            for (FileRange range : ranges) {
                int start = (int) range.getOffset();
                ByteBuffer wanted = ByteBuffer.wrap(large, start, 5000);
                expect(range.getData().get().equals(wanted), "other bytes at " + start);
            }
        }
        try {
            files.create(path, false).close();
            throw new AssertionError("a file is written twice");
        } catch (FileAlreadyExistsException refused) {
            expect(files.exists(path), "the file is gone");
        }
        try {
            files.open(new Path(path, "none")).read();
            throw new AssertionError("a file that is not there is read");
        } catch (FileNotFoundException refused) {
            expect(files.exists(path), "the file is gone");
        }
    }

    static void parts(FileSystem files, Path path) throws Exception {
        byte[] part = content(6 << 20);
        Map<Integer, PartHandle> parts = new TreeMap<>();
        try (MultipartUploader uploader = files.createMultipartUploader(path.getParent()).build()) {
            UploadHandle upload = uploader.startUpload(path).get();
            for (int number = 1; number <= 2; number++) {
                parts.put(number, uploader.putPart(upload, number, path, new ByteArrayInputStream(part), part.length).get());
            }
            uploader.complete(upload, path, parts).get();
        }
        expect(files.getFileStatus(path).getLen() == 12 << 20, "an upload has another size");
    }

    static void count(String committer) throws Exception {
        Configuration settings = settings(
                "fs.s3a.committer.name", committer,
                "mapreduce.outputcommitter.factory.scheme.s3a", "org.apache.hadoop.fs.s3a.commit.S3ACommitterFactory",
                "fs.s3a.committer.staging.tmp.path", FOLDER + "/staging",
                "mapreduce.framework.name", "local");
        Path input = new Path(BUCKET + committer + "/input"), output = new Path(BUCKET + committer + "/output");
        try (FileSystem files = FileSystem.newInstance(BUCKET, settings)) {
            for (int number = 0; number < 3; number++) {
                write(files, new Path(input, "part" + number), "a b c a\n".repeat(1000).getBytes(StandardCharsets.UTF_8));
            }
            Job job = Job.getInstance(settings);
            job.setJarByClass(Main.class);
            job.setMapperClass(Split.class);
            job.setReducerClass(Sum.class);
            job.setOutputKeyClass(Text.class);
            job.setOutputValueClass(IntWritable.class);
            FileInputFormat.addInputPath(job, input);
            FileOutputFormat.setOutputPath(job, output);
            expect(job.waitForCompletion(false), committer + ": the job failed");
            StringBuilder found = new StringBuilder();
            for (FileStatus file : files.globStatus(new Path(output, "part*"))) {
                found.append(new String(read(files, file.getPath()), StandardCharsets.UTF_8));
            }
            expect(found.toString().equals("a\t6000\nb\t3000\nc\t3000\n"), committer + ": " + found);
            String told = new String(read(files, new Path(output, "_SUCCESS")), StandardCharsets.UTF_8);
            expect(committer.equals("file") ? told.isEmpty() : told.contains('"' + committer + '"'), "another committer ran: " + told);
        }
    }

    public static void main(String[] arguments) throws Exception {
        for (String[] pairs : SETTINGS) {
            try (FileSystem files = FileSystem.newInstance(BUCKET, settings(pairs))) {
                Path root = new Path(BUCKET + "files");
                folders(files, root);
                ranges(files, new Path(root, "ranges"));
                parts(files, new Path(root, "parts"));
                expect(files.delete(root, true) && !files.exists(root), "the folder is still there");
            }
        }
        String[] committers = {"magic", "directory", "partitioned", "file"};
        for (String committer : committers) {
            count(committer);
        }
        System.out.println(SETTINGS.length + " settings, " + committers.length + " committers");
    }
}
