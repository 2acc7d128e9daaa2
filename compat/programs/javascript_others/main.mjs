// Other clients in JavaScript: AWS's SDK 2 by both signature versions, minio-js, aws4fetch, and uploads by tus.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { Readable } from "node:stream";
import { S3Store } from "@tus/s3-store";
import { Server } from "@tus/server";
import AWS from "aws-sdk";
import { AwsClient } from "aws4fetch";
import { Client, CopyDestinationOptions, CopySourceOptions } from "minio";

const { BUCKET: Bucket, AWS_ENDPOINT_URL: endpoint, AWS_ACCESS_KEY_ID: accessKeyId, AWS_REGION: region } = process.env;
const secretAccessKey = process.env.AWS_SECRET_ACCESS_KEY;
const large = randomBytes(18 << 20);
let count = 0;

async function all(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function expect(key, found, wanted) {
  count++;
  assert.ok(Buffer.from(found).equals(Buffer.from(wanted)), `${key}: ${found.length} other bytes came back`);
}

async function post(url, fields, data) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append("file", new Blob([data]), "file.bin");
  const answer = await fetch(url, { method: "POST", body: form });
  assert.ok(answer.ok, `the form was answered with ${answer.status}: ${await answer.text()}`);
}

async function sdk2(signatureVersion) {
  const client = new AWS.S3({ endpoint, signatureVersion, s3ForcePathStyle: true });
  const get = async (Key) => (await client.getObject({ Bucket, Key }).promise()).Body;
  const [odd, uploaded, put] = ["a b/ü+%25", "uploaded", "put"].map((name) => `sdk2/${signatureVersion}/${name}`);
  await client.putObject({ Bucket, Key: odd, Body: "text", Metadata: { colour: "blue" } }).promise();
  expect(odd, await get(odd), "text");
  assert.deepEqual((await client.headObject({ Bucket, Key: odd }).promise()).Metadata, { colour: "blue" });
  await client.upload({ Bucket, Key: uploaded, Body: Readable.from([large]) }, { partSize: 5 << 20 }).promise();
  expect(uploaded, await all(client.getObject({ Bucket, Key: uploaded }).createReadStream()), large);
  const target = client.getSignedUrl("putObject", { Bucket, Key: put, ContentType: "text/x-compat" });
  const stored = await fetch(target, { method: "PUT", body: "put", headers: { "content-type": "text/x-compat" } });
  assert.ok(stored.ok, await stored.text());
  expect(put, await get(put), "put");
  const fetched = await fetch(client.getSignedUrl("getObject", { Bucket, Key: odd, ResponseContentType: "text/x-other" }));
  assert.equal(fetched.headers.get("content-type"), "text/x-other");
  expect(odd, Buffer.from(await fetched.arrayBuffer()), "text");
  await client.deleteObjects({ Bucket, Delete: { Objects: [{ Key: odd }, { Key: put }] } }).promise();
  await client.waitFor("objectNotExists", { Bucket, Key: put }).promise();
}

async function sdk2Form() {
  const { url, fields } = new AWS.S3({ endpoint, signatureVersion: "v4", s3ForcePathStyle: true }).createPresignedPost({
    Bucket, Fields: { key: "sdk2/form" }, Conditions: [["content-length-range", 1, 100]],
  });
  await post(url, fields, "form");
}

async function minio() {
  const { hostname, port } = new URL(endpoint);
  const client = new Client({ endPoint: hostname, port: Number(port), useSSL: false, accessKey: accessKeyId, secretKey: secretAccessKey });
  await client.putObject(Bucket, "minio/a b/ü+", "text", 4, { "x-amz-meta-colour": "blue" });
  assert.equal((await client.statObject(Bucket, "minio/a b/ü+")).metaData.colour, "blue");
  await client.putObject(Bucket, "minio/large", Readable.from([large.subarray(0, 9 << 20), large.subarray(9 << 20)]));
  expect("minio/large", await all(await client.getObject(Bucket, "minio/large")), large);
  expect("minio/large", await all(await client.getPartialObject(Bucket, "minio/large", 10, 1000)), large.subarray(10, 1010));
  const sources = ["minio/large", "minio/large"].map((Object) => new CopySourceOptions({ Bucket, Object }));
  await client.composeObject(new CopyDestinationOptions({ Bucket, Object: "minio/composed" }), sources);
  expect("minio/composed", await all(await client.getObject(Bucket, "minio/composed")), Buffer.concat([large, large]));
  const policy = client.newPostPolicy();
  policy.setBucket(Bucket);
  policy.setKey("minio/form");
  policy.setExpires(new Date(Date.now() + 60_000));
  const { postURL, formData } = await client.presignedPostPolicy(policy);
  await post(postURL, formData, "form");
  expect("minio/form", await all(await client.getObject(Bucket, "minio/form")), "form");
  const names = [];
  for await (const { name } of client.listObjectsV2(Bucket, "minio/", true)) names.push(name);
  assert.deepEqual(names, ["minio/a b/ü+", "minio/composed", "minio/form", "minio/large"]);
  await client.removeObjects(Bucket, names);
}

async function aws4fetch() {
  const client = new AwsClient({ accessKeyId, secretAccessKey, region, service: "s3" });
  for (const key of ["a%20b/%C3%BC%2B%25.txt", "x'()*!~"]) {
    const url = `${endpoint}/${Bucket}/aws4fetch/${key}`;
    const stored = await client.fetch(url, { method: "PUT", body: large });
    assert.ok(stored.ok, await stored.text());
    const part = await client.fetch(url, { headers: { range: "bytes=5-1004" } });
    expect(key, Buffer.from(await part.arrayBuffer()), large.subarray(5, 1005));
    const signed = await client.sign(`${url}?X-Amz-Expires=60`, { aws: { signQuery: true } });
    expect(key, Buffer.from(await (await fetch(signed)).arrayBuffer()), large);
  }
}

async function tus() {
  const s3ClientConfig = { bucket: Bucket, endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } };
  const server = new Server({ path: "/files", datastore: new S3Store({ partSize: 8 << 20, s3ClientConfig }) });
  const listener = server.listen({ host: "127.0.0.1", port: 0 });
  await once(listener, "listening");
  const own = { "tus-resumable": "1.0.0" };
  const base = `http://127.0.0.1:${listener.address().port}`;
  const made = await fetch(`${base}/files`, { method: "POST", headers: { ...own, "upload-length": `${large.length}` } });
  const upload = base + new URL(made.headers.get("location"), base).pathname;
  for (let offset = 0, size = 3 << 20; offset < large.length; offset += size, size = 10 << 20) {  // of no part's size
    const body = large.subarray(offset, offset + size);
    const headers = { ...own, "upload-offset": `${offset}`, "content-type": "application/offset+octet-stream" };
    const sent = await fetch(upload, { method: "PATCH", headers, body });
    assert.equal(sent.status, 204, await sent.text());
    const told = await fetch(upload, { method: "HEAD", headers: own });
    assert.equal(told.headers.get("upload-offset"), `${offset + body.length}`);
  }
  expect("tus", Buffer.from(await (await fetch(upload)).arrayBuffer()), large);
  listener.close();
  listener.closeAllConnections();
}

await sdk2("v2");
await sdk2("v4");
await sdk2Form();
await minio();
await aws4fetch();
await tus();
console.log(`${count} objects and ranges`);
process.exit(0);
