// AWS's SDK for JavaScript with its stock retries against planned faults: what it hides, and what its caller has to find.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import {
  CompleteMultipartUploadCommand, CreateMultipartUploadCommand, DeleteObjectCommand, GetObjectCommand, PutObjectCommand,
  S3Client, UploadPartCommand,
} from "@aws-sdk/client-s3";

const endpoint = process.env.AWS_ENDPOINT_URL, Bucket = process.env.BUCKET, Key = "key", Body = randomBytes(2 << 20);
const client = new S3Client({ endpoint, forcePathStyle: true });

async function control(method, path, body) {
  const answer = await fetch(`${endpoint}/-/test/${path}`, { method, body: body && JSON.stringify(body) });
  assert.equal(answer.status, 200, await answer.clone().text());
  return answer.json();
}
const plan = (fields) => control("POST", "faults", fields);

// A request that was refused before its body had come is counted when the body has.
async function asked(operation, times) {
  for (let tries = 100; ; tries--) {
    const { count } = await control("GET", `requests?op=${operation}`);
    if (count === times) return;
    assert.ok(count < times && tries, `${operation} was sent ${count} times, not ${times}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}
const put = (more) => client.send(new PutObjectCommand({ Bucket, Key, Body, ...more }));
const refused = (name, promise) => assert.rejects(promise, (error) => assert.equal(error.name, name) === undefined);

async function read(key = Key) {
  const answer = await client.send(new GetObjectCommand({ Bucket, Key: key }));
  return Buffer.from(await answer.Body.transformToByteArray());
}
async function expect(key = Key) {
  assert.ok((await read(key)).equals(Body), "other bytes came back");
}
async function upload(key) {
  const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key: key }));
  const part = { Bucket, Key: key, UploadId, PartNumber: 1, Body };
  const { ETag, ChecksumCRC32 } = await client.send(new UploadPartCommand(part));
  const MultipartUpload = { Parts: [{ PartNumber: 1, ETag, ChecksumCRC32 }] };
  return () => client.send(new CompleteMultipartUploadCommand({ Bucket, Key: key, UploadId, MultipartUpload }));
}

const faults = {
  async slowDown() {
    await plan({ operation: "PutObject", count: 2, status: 503, code: "SlowDown" });
    await put();
    await asked("PutObject", 3);
    await expect();
  },
  async internalError() {
    await put();
    await plan({ operation: "GetObject", status: 500, code: "InternalError" });
    await expect();
    await asked("GetObject", 2);
  },
  async errorBehindAStatus() {
    const complete = await upload(Key);
    await plan({ operation: "CompleteMultipartUpload", status: 200, code: "InternalError" });
    await complete();
    await asked("CompleteMultipartUpload", 2);
    await expect();
  },
  async lostAnswers() {
    await plan({ operation: "PutObject", drop: true });
    await put();
    await asked("PutObject", 2);
    await expect();
    const complete = await upload("parts");
    await plan({ operation: "CompleteMultipartUpload", drop: true });
    await complete();
    await asked("CompleteMultipartUpload", 2);
    await expect("parts");
    await plan({ operation: "DeleteObject", drop: true });
    await client.send(new DeleteObjectCommand({ Bucket, Key }));
    await asked("DeleteObject", 2);
    await refused("NoSuchKey", read());
  },
  // The first try was done, so the second is refused; only the caller can find that the object is its own.
  async lostAnswerToACreation() {
    await plan({ operation: "PutObject", drop: true });
    await refused("PreconditionFailed", put({ IfNoneMatch: "*" }));
    await asked("PutObject", 2);
    await expect();
  },
  async lostAnswerToAReplacement() {
    const { ETag } = await client.send(new PutObjectCommand({ Bucket, Key, Body: "before" }));
    await plan({ operation: "PutObject", drop: true });
    await refused("PreconditionFailed", put({ IfMatch: ETag }));
    await asked("PutObject", 3);
    await expect();
  },
  // The body is the caller's to read: the SDK reports that it is torn, and does not ask again.
  async tornDownloads() {
    await put();
    for (const fault of [{ cut_after_bytes: 1_000_000 }, { reset_after_bytes: 1_000_000 }]) {
      await plan({ operation: "GetObject", ...fault });
      await assert.rejects(read());
      await expect();
    }
    await asked("GetObject", 4);
  },
  async flippedBit() {
    await put();
    await plan({ operation: "GetObject", flip_at_byte: 1_000_000 });
    await assert.rejects(read(), /[Cc]hecksum/);
    await expect();
  },
};

for (const [name, fault] of Object.entries(faults)) {
  await fault().catch((error) => { throw new Error(`${name}: ${error.message}`, { cause: error }); });
  await control("POST", "reset", {});
}
console.log(`${Object.keys(faults).length} kinds of faults; a conditional upload whose answer was lost is refused, and is there`);
