// Services of JavaScript that keep their data in a bucket: Verdaccio's registry of packages, a cache of Turborepo,
// uploads of forms by multer-s3, and folders that s3-sync-client holds equal.
import assert from "node:assert";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { DeleteObjectsCommand, GetObjectCommand, ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";
import express from "express";
import multer from "multer";
import multerS3 from "multer-s3";
import { S3SyncClient } from "s3-sync-client";

const { BUCKET, AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION } = process.env;
const client = new S3Client({ forcePathStyle: true });
const modules = join(dirname(fileURLToPath(import.meta.url)), "node_modules");
const call = promisify(execFile);
const content = (size) => Buffer.from(Array.from({ length: size }, (_, at) => (Math.imul(at, 2654435761) >>> 13) & 255));
const LARGE = content(12 << 20);

async function stored(key) {
  const answer = await client.send(new GetObjectCommand({ Bucket: BUCKET, Key: key }));
  return { ...answer, data: Buffer.from(await answer.Body.transformToByteArray()) };
}

async function keys(prefix) {
  const answer = await client.send(new ListObjectsV2Command({ Bucket: BUCKET, Prefix: prefix }));
  return (answer.Contents ?? []).map((object) => object.Key);
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/** Run a service until the work is done; what it said is shown if the work fails. */
async function withService(words, environment, address, work) {
  const service = spawn(process.execPath, ["--no-warnings", ...words], { env: { ...process.env, ...environment } });
  let said = "";
  for (const stream of [service.stdout, service.stderr]) stream.on("data", (text) => (said += text));
  try {
    const end = Date.now() + 60_000;
    for (let up = false; !up; ) {
      assert.ok(Date.now() < end && service.exitCode === null, "it does not start");
      up = await fetch(address).then(() => true, () => new Promise((done) => setTimeout(() => done(false), 100)));
    }
    return await work();
  } catch (error) {
    console.error(said.slice(-3000));
    throw error;
  } finally {
    service.kill();
    if (service.exitCode === null) await once(service, "exit");
  }
}

async function verdaccio(folder) {
  const address = `http://127.0.0.1:${await freePort()}`;
  const file = join(folder, "verdaccio.yaml");
  await writeFile(
    file,
    `
store:
  aws-s3-storage:
    bucket: ${BUCKET}
    keyPrefix: registry/
    region: ${AWS_REGION}
    endpoint: ${AWS_ENDPOINT_URL}
    s3ForcePathStyle: true
    accessKeyId: ${AWS_ACCESS_KEY_ID}
    secretAccessKey: ${AWS_SECRET_ACCESS_KEY}
auth: { htpasswd: { file: ${join(folder, "users")} } }
packages: { "**": { access: $all, publish: $all, unpublish: $all } }
log: { type: stdout, format: json, level: warn }
`,
  );
  const words = [join(modules, "verdaccio/bin/verdaccio"), "--config", file, "--listen", address];
  return withService(words, {}, `${address}/-/ping`, async () => {
    const settings = join(folder, ".npmrc");
    await writeFile(settings, `registry=${address}\n//${new URL(address).host}/:_authToken=compat\n`);
    const npm = (...more) => call("npm", [...more, "--registry", address, "--userconfig", settings], { cwd: folder });
    for (const version of ["1.0.0", "1.1.0"]) {
      const source = join(folder, version);
      await mkdir(source);
      await writeFile(join(source, "package.json"), JSON.stringify({ name: "@compat/package", version }));
      await writeFile(join(source, "data.bin"), content(300_000));
      await npm("publish", source, "--access", "public");
    }
    await mkdir(join(folder, "user"));
    await npm("install", "--prefix", join(folder, "user"), "@compat/package@1.0.0");
    const installed = await readFile(join(folder, "user/node_modules/@compat/package/data.bin"));
    assert.ok(installed.equals(content(300_000)));
    assert.deepEqual(JSON.parse((await npm("view", "@compat/package", "versions", "--json")).stdout), ["1.0.0", "1.1.0"]);
    await npm("unpublish", "@compat/package@1.1.0");
    assert.equal((await keys("registry/@compat/package/")).filter((key) => key.endsWith(".tgz")).length, 1);
    await npm("unpublish", "@compat/package", "--force");
    assert.deepEqual(await keys("registry/@compat/package/"), []);
    return 2;
  });
}

async function turborepo() {
  const port = await freePort();
  const environment = {
    PORT: `${port}`, TURBO_TOKEN: "compat", STORAGE_PROVIDER: "s3", STORAGE_PATH: BUCKET, LOG_LEVEL: "warn",
    S3_ACCESS_KEY: AWS_ACCESS_KEY_ID, S3_SECRET_KEY: AWS_SECRET_ACCESS_KEY, S3_REGION: AWS_REGION, S3_ENDPOINT: AWS_ENDPOINT_URL,
  };
  const address = `http://127.0.0.1:${port}/v8/artifacts`;
  const ask = (method, hash, body) =>
    fetch(`${address}/${hash}?slug=team`, {
      method, body, headers: { authorization: "Bearer compat", "content-type": "application/octet-stream" },
    });
  return withService([join(modules, "turborepo-remote-cache/dist/cli.js")], environment, `${address}/status`, async () => {
    assert.equal((await ask("HEAD", "none")).status, 404);
    assert.equal((await ask("GET", "none")).status, 404);
    for (const [hash, data] of [["small", content(1000)], ["large", LARGE]]) {
      assert.ok((await ask("PUT", hash, data)).ok);
      assert.equal((await ask("HEAD", hash)).status, 200);
      assert.ok(Buffer.from(await (await ask("GET", hash)).arrayBuffer()).equals(data), hash);
    }
    return 2;
  });
}

async function forms() {
  const options = { s3: client, bucket: BUCKET, contentType: multerS3.AUTO_CONTENT_TYPE, acl: "private" };
  const storage = multerS3({ ...options, key: (_, file, done) => done(null, `forms/${file.originalname}`) });
  const server = express()
    .post("/", multer({ storage }).array("files"), (request, answer) => answer.json(request.files))
    .listen(0, "127.0.0.1");
  await once(server, "listening");
  const form = new FormData();
  const image = Buffer.concat([Buffer.from("89504e470d0a1a0a", "hex"), content(1000)]);
  form.append("files", new Blob([image]), "image");
  form.append("files", new Blob([LARGE]), "large.bin");
  const answer = await fetch(`http://127.0.0.1:${server.address().port}/`, { method: "POST", body: form });
  const files = await answer.json();
  server.close();
  assert.deepEqual(files.map((file) => file.key), ["forms/image", "forms/large.bin"]);
  const shown = await stored("forms/image");
  assert.ok(shown.data.equals(image));
  assert.equal(shown.ContentType, "image/png");
  assert.ok((await stored("forms/large.bin")).data.equals(LARGE));
  return 2;
}

async function folders(folder) {
  const sync = new S3SyncClient({ client });
  const [source, target] = [join(folder, "source"), join(folder, "target")];
  await mkdir(join(source, "deep ä"), { recursive: true });
  for (let number = 0; number < 30; number++) await writeFile(join(source, "deep ä", `${number}.txt`), `${number}`);
  await writeFile(join(source, "large"), LARGE);
  const place = `s3://${BUCKET}/folders`;
  const parts = { partSize: 5 << 20, del: true };
  await sync.sync(source, place, parts);
  await rm(join(source, "deep ä/7.txt"));
  const again = await sync.sync(source, place, parts);
  assert.equal(again.deleted?.length ?? (await keys("folders/")).length - 29, 1);
  await sync.sync(place, `s3://${BUCKET}/copies`, parts);
  await sync.sync(`s3://${BUCKET}/copies`, target, parts);
  assert.deepEqual((await readdir(join(target, "deep ä"))).length, 29);
  assert.ok((await readFile(join(target, "large"))).equals(LARGE));
  return 30;
}

const folder = await mkdtemp(join(tmpdir(), "compat-web-"));
try {
  const packages = await verdaccio(folder);
  const others = (await turborepo()) + (await forms()) + (await folders(folder));
  const left = (await keys("")).map((Key) => ({ Key }));
  await client.send(new DeleteObjectsCommand({ Bucket: BUCKET, Delete: { Objects: left } }));
  console.log(`${packages} packages, ${others} objects`);
} finally {
  await rm(folder, { recursive: true });
}
