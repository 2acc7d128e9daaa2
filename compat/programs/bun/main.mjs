// Bun's own S3 client: objects, an upload in parts while it is written, ranges, presigned URLs, listings.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { S3Client } from "bun";

const bucket = process.env.BUCKET;
const client = new S3Client({ bucket, endpoint: process.env.AWS_ENDPOINT_URL });
const large = randomBytes(24 << 20);
const bytes = async (file) => Buffer.from(await file.arrayBuffer());

async function put() {
  for (const [key, body] of [["empty", ""], ["a b/ü+%25", "text"], ["one", randomBytes(1)], ["large", large]]) {
    await client.write(key, body, { type: "text/x-compat" });
    assert.ok((await bytes(client.file(key))).equals(Buffer.from(body)), key);
    assert.equal((await client.stat(key)).type, "text/x-compat");
  }
}

async function parts() {
  const writer = client.file("written").writer({ partSize: 5 << 20, queueSize: 3 });
  for (let start = 0; start < large.length; start += 1 << 20) {
    writer.write(large.subarray(start, start + (1 << 20)));
    await writer.flush();
  }
  await writer.end();
  assert.equal(await client.size("written"), large.length);
  const chunks = [];
  for await (const chunk of client.file("written").stream()) chunks.push(chunk);
  assert.ok(Buffer.concat(chunks).equals(large));
  const middle = await bytes(client.file("written").slice(1_000_000, 2_000_000));
  assert.ok(middle.equals(large.subarray(1_000_000, 2_000_000)));
}

async function presigned() {
  const stored = await fetch(client.presign("presigned", { method: "PUT", expiresIn: 60 }), { method: "PUT", body: "signed" });
  assert.ok(stored.ok, await stored.text());
  const fetched = await fetch(client.presign("presigned", { expiresIn: 60, contentDisposition: "attachment" }));
  assert.equal(await fetched.text(), "signed");
  assert.equal(fetched.headers.get("content-disposition"), "attachment");
}

async function listed() {
  for (let number = 0; number < 25; number++) await client.write(`many/${number}`, `${number}`);
  const found = [];
  let after;
  do {
    const page = await client.list({ prefix: "many/", maxKeys: 10, continuationToken: after });
    found.push(...page.contents.map((it) => it.key));
    after = page.nextContinuationToken;
  } while (after);
  assert.deepEqual(found, Array.from({ length: 25 }, (_, number) => `many/${number}`).sort());
  assert.equal(await client.exists("none"), false);
  await assert.rejects(client.file("none").text(), { code: "NoSuchKey" });
}

await put();
await parts();
await presigned();
await listed();
const all = (await client.list()).contents;
for (const { key } of all) await client.delete(key);
assert.equal((await client.list()).contents?.length ?? 0, 0);
console.log(`${all.length} objects`);
