import java.io.ByteArrayInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import software.amazon.awssdk.core.async.AsyncRequestBody;
import software.amazon.awssdk.core.async.AsyncResponseTransformer;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.http.SdkHttpClient;
import software.amazon.awssdk.http.apache.ApacheHttpClient;
import software.amazon.awssdk.http.urlconnection.UrlConnectionHttpClient;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.S3Configuration;
import software.amazon.awssdk.services.s3.model.ChecksumAlgorithm;
import software.amazon.awssdk.services.s3.presigner.S3Presigner;

/** AWS's SDK for Java, version 2, on each of its HTTP clients; and Java's own, which offers HTTP/2 with every request. */
public class Main {
    static final String BUCKET = System.getenv("BUCKET");
    static final URI ENDPOINT = URI.create(System.getenv("AWS_ENDPOINT_URL"));
    static int count = 0;

    static byte[] content(int size) {
        byte[] data = new byte[size];
        new Random(size).nextBytes(data);
        return data;
    }

    static void expect(String key, byte[] found, byte[] wanted) {
        count++;
        if (!Arrays.equals(found, wanted)) {
            throw new AssertionError(key + ": " + found.length + " other bytes came back instead of " + wanted.length);
        }
    }

    static void sync(String name, SdkHttpClient http) {
        try (S3Client client = S3Client.builder().endpointOverride(ENDPOINT).forcePathStyle(true).httpClient(http).build()) {
            for (int size : new int[] {0, 1, 70_000, 3 << 20}) {
                for (ChecksumAlgorithm algorithm : new ChecksumAlgorithm[] {
                        null, ChecksumAlgorithm.CRC32, ChecksumAlgorithm.CRC32_C, ChecksumAlgorithm.SHA256}) {
                    String key = name + "/" + algorithm + "/" + size;
                    client.putObject(it -> it.bucket(BUCKET).key(key).checksumAlgorithm(algorithm).metadata(Map.of("colour", "blue")),
                            RequestBody.fromInputStream(new ByteArrayInputStream(content(size)), size));
                    expect(key, client.getObjectAsBytes(it -> it.bucket(BUCKET).key(key)).asByteArray(), content(size));
                }
            }
        }
    }

    static void async() {
        try (S3AsyncClient client = S3AsyncClient.builder().endpointOverride(ENDPOINT).forcePathStyle(true).multipartEnabled(true).build()) {
            for (int size : new int[] {0, 70_000, 18 << 20}) {
                String key = "async/" + size;
                client.putObject(it -> it.bucket(BUCKET).key(key), AsyncRequestBody.fromBytes(content(size))).join();
                byte[] found = client.getObject(it -> it.bucket(BUCKET).key(key), AsyncResponseTransformer.toBytes()).join().asByteArray();
                expect(key, found, content(size));
            }
        }
    }

    /** A body whose length Java does not tell: it goes out chunked. */
    static BodyPublisher chunked(byte[] data) {
        return BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(data));
    }

    static void own() throws Exception {
        HttpClient http = HttpClient.newHttpClient();
        S3Configuration paths = S3Configuration.builder().pathStyleAccessEnabled(true).build();
        try (S3Presigner presigner = S3Presigner.builder().endpointOverride(ENDPOINT).serviceConfiguration(paths).build()) {
            for (int size : new int[] {0, 1, 70_000, 3 << 20}) {
                String key = "own/" + size;
                URI put = presigner.presignPutObject(it -> it.signatureDuration(Duration.ofMinutes(1))
                        .putObjectRequest(object -> object.bucket(BUCKET).key(key))).url().toURI();
                URI get = presigner.presignGetObject(it -> it.signatureDuration(Duration.ofMinutes(1))
                        .getObjectRequest(object -> object.bucket(BUCKET).key(key))).url().toURI();
                var stored = http.send(HttpRequest.newBuilder(put).PUT(BodyPublishers.ofByteArray(content(size))).build(), BodyHandlers.ofString());
                if (stored.statusCode() != 200) {
                    throw new AssertionError(key + ": " + stored.statusCode() + " " + stored.body());
                }
                expect(key, http.send(HttpRequest.newBuilder(get).build(), BodyHandlers.ofByteArray()).body(), content(size));
                var chunked = http.send(HttpRequest.newBuilder(put).PUT(chunked(content(size))).build(), BodyHandlers.ofString());
                if (chunked.statusCode() != 200 && chunked.statusCode() != 411 && chunked.statusCode() != 501) {  // S3 wants a length
                    throw new AssertionError(key + " chunked: " + chunked.statusCode() + " " + chunked.body());
                }
                expect(key, http.send(HttpRequest.newBuilder(get).build(), BodyHandlers.ofByteArray()).body(), content(size));
            }
        }
    }

    public static void main(String[] arguments) throws Exception {
        sync("apache", ApacheHttpClient.create());
        sync("url-connection", UrlConnectionHttpClient.create());
        async();
        own();
        System.out.println(count + " objects");
    }
}
