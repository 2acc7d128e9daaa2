// AWS's SDK for JavaScript, version 3: bodies, metadata in presigned URLs, uploads in parts, the browser's form.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import {
  DeleteObjectsCommand, GetObjectCommand, HeadObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client,
} from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { createPresignedPost } from "@aws-sdk/s3-presigned-post";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";

const Bucket = process.env.BUCKET;
const client = new S3Client({ endpoint: process.env.AWS_ENDPOINT_URL, forcePathStyle: true });
const keys = new Set();

async function expect(Key, wanted) {
  keys.add(Key);
  const answer = await client.send(new GetObjectCommand({ Bucket, Key }));
  const found = Buffer.from(await answer.Body.transformToByteArray());
  assert.ok(found.equals(wanted), `${Key}: ${found.length} other bytes came back instead of ${wanted.length}`);
}

for (const size of [0, 1, 70_000, 3 << 20]) {
  for (const ChecksumAlgorithm of [undefined, "CRC32", "CRC32C", "SHA1", "SHA256"]) {
    const Key = `put/${ChecksumAlgorithm}/${size} ä+b`, Body = randomBytes(size);
    await client.send(new PutObjectCommand({ Bucket, Key, Body, ChecksumAlgorithm }));
    await expect(Key, Body);
  }
}

const large = randomBytes(18 << 20);
await new Upload({ client, params: { Bucket, Key: "large", Body: Readable.from([large]) } }).done();
await expect("large", large);

const described = { Metadata: { colour: "blue", "two-words": "b" }, ContentType: "text/x-compat", CacheControl: "no-store" };
const put = await getSignedUrl(client, new PutObjectCommand({ Bucket, Key: "presigned", ...described }), {
  signableHeaders: new Set(["content-type"]),
});
const body = randomBytes(1000);
const stored = await fetch(put, { method: "PUT", body, headers: { "content-type": "text/x-compat", "cache-control": "no-store" } });
assert.equal(stored.status, 200, await stored.text());
await expect("presigned", body);
const head = await client.send(new HeadObjectCommand({ Bucket, Key: "presigned" }));
assert.deepEqual(head.Metadata, described.Metadata);
assert.equal(head.ContentType, "text/x-compat");

const get = await getSignedUrl(client, new GetObjectCommand({ Bucket, Key: "presigned", ResponseContentType: "text/x-other" }));
const fetched = await fetch(get);
assert.equal(fetched.headers.get("content-type"), "text/x-other");
assert.ok(Buffer.from(await fetched.arrayBuffer()).equals(body));

const { url, fields } = await createPresignedPost(client, {
  Bucket, Key: "form/${filename}", Conditions: [["content-length-range", 1, 2000]], Fields: { "x-amz-meta-colour": "red" },
});
const form = new FormData();
for (const [name, value] of Object.entries(fields)) form.append(name, value);
form.append("file", new Blob([body]), "file.bin");
const posted = await fetch(url, { method: "POST", body: form });
assert.ok(posted.ok, `the form was answered with ${posted.status}: ${await posted.text()}`);
await expect("form/file.bin", body);

const listed = await client.send(new ListObjectsV2Command({ Bucket }));
assert.deepEqual(new Set(listed.Contents.map((it) => it.Key)), keys);
await client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: [...keys].map((Key) => ({ Key })) } }));
console.log(`${keys.size} objects`);
