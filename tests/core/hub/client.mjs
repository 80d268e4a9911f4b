// Lists, downloads and commits with @huggingface/hub; prints what it saw as JSON.
import { commit, downloadFile, listFiles, modelInfo, whoAmI } from "@huggingface/hub";
import { createHash } from "node:crypto";

const [hubUrl, accessToken, repo] = process.argv.slice(2);
const common = { hubUrl, accessToken, repo };
const { name: user } = await whoAmI({ hubUrl, accessToken });
const info = await modelInfo({ name: repo, hubUrl, accessToken, additionalFields: ["sha"] });
const files = {};
for await (const entry of listFiles({ ...common, recursive: true })) {
  if (entry.type !== "file") continue;
  const blob = await downloadFile({ ...common, path: entry.path });
  files[entry.path] = createHash("sha256").update(Buffer.from(await blob.arrayBuffer())).digest("hex");
}
const add = (content) => [{ operation: "addOrUpdate", path: "from-js.txt", content: new Blob([content]) }];
await commit({ ...common, title: "from JavaScript", operations: add("hello"), parentCommit: info.sha, useXet: false });
let stale = 0;
try {
  await commit({ ...common, title: "stale", operations: add("late"), parentCommit: info.sha, useXet: false });
} catch (error) {
  stale = error.statusCode;
}
const sorted = Object.fromEntries(Object.entries(files).sort(([a], [b]) => (a < b ? -1 : 1)));
console.log(JSON.stringify({ user, sha: info.sha, files: sorted, stale }));
