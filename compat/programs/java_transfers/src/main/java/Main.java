import java.io.ByteArrayInputStream;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.Stream;
import software.amazon.awssdk.core.async.AsyncRequestBody;
import software.amazon.awssdk.core.async.AsyncResponseTransformer;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.model.ChecksumAlgorithm;
import software.amazon.awssdk.services.s3.model.S3Object;
import software.amazon.awssdk.transfer.s3.S3TransferManager;
import software.amazon.awssdk.transfer.s3.model.DownloadFileRequest;
import software.amazon.awssdk.transfer.s3.model.FileDownload;
import software.amazon.awssdk.transfer.s3.model.FileUpload;
import software.amazon.awssdk.transfer.s3.model.ResumableFileDownload;
import software.amazon.awssdk.transfer.s3.model.ResumableFileUpload;
import software.amazon.awssdk.transfer.s3.model.UploadFileRequest;

/** The Transfer Manager of AWS's SDK for Java on AWS's common runtime and on Java's own client. */
public class Main {
    static final String BUCKET = System.getenv("BUCKET");
    static final URI ENDPOINT = URI.create(System.getenv("AWS_ENDPOINT_URL"));
    static final long PART = 5 << 20;
    static final int FILES = 30;
    static final byte[] LARGE = content(24 << 20);
    static int count = 0;

    static byte[] content(int size) {
        byte[] data = new byte[size];
        new Random(size).nextBytes(data);
        return data;
    }

    static void same(String what, Object found, Object wanted) {
        if (!wanted.equals(found)) {
            throw new AssertionError(what + ": " + found + " instead of " + wanted);
        }
    }

    static void expect(String key, byte[] found, byte[] wanted) {
        count++;
        if (!Arrays.equals(found, wanted)) {
            throw new AssertionError(key + ": " + found.length + " other bytes came back instead of " + wanted.length);
        }
    }

    static byte[] read(S3AsyncClient client, String key) {
        return client.getObject(it -> it.bucket(BUCKET).key(key), AsyncResponseTransformer.toBytes()).join().asByteArray();
    }

    static void files(S3AsyncClient client, S3TransferManager manager, String name, Path folder) throws Exception {
        Path source = folder.resolve("large");
        Files.write(source, LARGE);
        for (ChecksumAlgorithm algorithm : new ChecksumAlgorithm[] {null, ChecksumAlgorithm.CRC64_NVME, ChecksumAlgorithm.SHA256}) {
            String key = name + "/file ä+b/" + algorithm;
            manager.uploadFile(it -> it.source(source)
                    .putObjectRequest(put -> put.bucket(BUCKET).key(key).checksumAlgorithm(algorithm).contentType("text/x-compat")))
                    .completionFuture().join();
            Path target = folder.resolve(name + algorithm);
            manager.downloadFile(it -> it.destination(target).getObjectRequest(get -> get.bucket(BUCKET).key(key))).completionFuture().join();
            expect(key, Files.readAllBytes(target), LARGE);
            manager.copy(it -> it.copyObjectRequest(copy -> copy.sourceBucket(BUCKET).sourceKey(key)
                    .destinationBucket(BUCKET).destinationKey(key + " copied"))).completionFuture().join();
            expect(key + " copied", read(client, key + " copied"), LARGE);
            same(key, client.headObject(it -> it.bucket(BUCKET).key(key + " copied")).join().contentType(), "text/x-compat");
        }
    }

    /** Bodies whose length is not known beforehand. */
    static void streams(S3AsyncClient client, S3TransferManager manager, String name) {
        ExecutorService threads = Executors.newFixedThreadPool(2);
        try {
            for (int size : new int[] {0, 70_000, 18 << 20}) {
                String key = name + "/stream/" + size;
                AsyncRequestBody body = AsyncRequestBody.fromInputStream(it -> it
                        .inputStream(new ByteArrayInputStream(content(size))).executor(threads));
                manager.upload(it -> it.requestBody(body).putObjectRequest(put -> put.bucket(BUCKET).key(key))).completionFuture().join();
                expect(key, read(client, key), content(size));
            }
        } finally {
            threads.shutdown();
        }
    }

    static void folders(S3TransferManager manager, String name, Path folder) throws Exception {
        Path source = Files.createDirectories(folder.resolve(name + " source/deep ä"));
        for (int number = 0; number < FILES; number++) {
            Files.write(source.resolve(number + ".bin"), content(number * 1000));
        }
        String prefix = name + "/folder";
        same("failures", manager.uploadDirectory(it -> it.source(source.getParent()).bucket(BUCKET).s3Prefix(prefix))
                .completionFuture().join().failedTransfers(), List.of());
        Path target = folder.resolve(name + " target");
        same("failures", manager.downloadDirectory(it -> it.destination(target).bucket(BUCKET)
                .listObjectsV2RequestTransformer(list -> list.prefix(prefix).maxKeys(7))).completionFuture().join().failedTransfers(), List.of());
        for (int number = 0; number < FILES; number++) {
            expect(prefix, Files.readAllBytes(target.resolve("deep ä/" + number + ".bin")), content(number * 1000));
        }
    }

    /** Stops an upload and a download as soon as they have begun, and goes on with what is known of them. */
    static void pauses(S3AsyncClient client, S3TransferManager manager, String name, Path folder) throws Exception {
        String key = name + "/paused";
        UploadFileRequest upload = UploadFileRequest.builder().source(folder.resolve("large"))
                .putObjectRequest(put -> put.bucket(BUCKET).key(key)).build();
        FileUpload sent = manager.uploadFile(upload);
        Thread.sleep(50);
        ResumableFileUpload kept = ResumableFileUpload.fromString(sent.pause().serializeToString());
        manager.resumeUploadFile(kept).completionFuture().join();
        expect(key, read(client, key), LARGE);
        Path target = folder.resolve(name + " paused");
        FileDownload fetched = manager.downloadFile(DownloadFileRequest.builder().destination(target)
                .getObjectRequest(get -> get.bucket(BUCKET).key(key)).build());
        Thread.sleep(50);
        ResumableFileDownload rest = ResumableFileDownload.fromString(fetched.pause().serializeToString());
        manager.resumeDownloadFile(rest).completionFuture().join();
        expect(key, Files.readAllBytes(target), LARGE);
    }

    static void remove(S3AsyncClient client, String name) {
        client.listObjectsV2Paginator(it -> it.bucket(BUCKET).prefix(name + "/").maxKeys(10)).contents()
                .map(S3Object::key).subscribe(key -> client.deleteObject(it -> it.bucket(BUCKET).key(key)).join()).join();
        same("left", client.listObjectsV2(it -> it.bucket(BUCKET)).join().keyCount(), 0);
        same("uploads", client.listMultipartUploads(it -> it.bucket(BUCKET)).join().uploads(), List.of());
    }

    static void run(String name, S3AsyncClient client, Path folder) throws Exception {
        try (S3TransferManager manager = S3TransferManager.builder().s3Client(client).build()) {
            files(client, manager, name, folder);
            streams(client, manager, name);
            folders(manager, name, folder);
            pauses(client, manager, name, folder);
            remove(client, name);
        }
        client.close();
    }

    public static void main(String[] arguments) throws Exception {
        Path folder = Files.createTempDirectory("compat-transfers");
        try {
            run("crt", S3AsyncClient.crtBuilder().endpointOverride(ENDPOINT).forcePathStyle(true)
                    .minimumPartSizeInBytes(PART).thresholdInBytes(PART).build(), folder);
            run("java", S3AsyncClient.builder().endpointOverride(ENDPOINT).forcePathStyle(true).multipartEnabled(true)
                    .multipartConfiguration(it -> it.minimumPartSizeInBytes(PART).thresholdInBytes(PART)).build(), folder);
        } finally {
            try (Stream<Path> paths = Files.walk(folder)) {
                for (Path path : paths.sorted((one, other) -> other.compareTo(one)).toList()) {
                    Files.delete(path);
                }
            }
        }
        System.out.println(count + " objects");
    }
}
