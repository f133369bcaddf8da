// Makes the document that Prism reads: GitHub's own, without its example of a link to a next page, which leads away from the
// server that is asked, and is followed by nobody.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const work = process.argv[2];
const source = join(work, "node_modules/@octokit/openapi/generated/api.github.com.json");
const document = JSON.parse(readFileSync(source, "utf8"));
const headers = Object.values(document.components.headers ?? {});
for (const header of headers) {
  delete header.example;
  delete header.examples;
}
// Its examples of pull requests and of a repository are none by its own rules.
const wrong = ["", "/pulls", "/pulls/{pull_number}", "/commits/{commit_sha}/pulls"];
for (const path of wrong.map((end) => `/repos/{owner}/{repo}${end}`)) {
  delete document.paths[path].get.responses["200"].content["application/json"].examples;
}
// What it lists is ours, so that it is changed.
const listed = (path, change) => {
  const content = document.paths[path].get.responses["200"].content["application/json"];
  const found = Object.values(content.examples)[0];
  const name = found.$ref?.split("/").at(-1);
  change((name ? document.components.examples[name] : found).value[0]);
};
listed("/repos/{owner}/{repo}/issues/{issue_number}/comments", (comment) => {
  comment.body = "<!-- cutover:comment shop -->";
});
listed("/repos/{owner}/{repo}/deployments", (deployment) => {
  Object.assign(deployment, { id: 0, payload: { cutover: { project: "shop", deployment: "before" } } });
});
listed("/repos/{owner}/{repo}/releases", (release) => {
  Object.assign(release, { tag_name: "v1.0.0", draft: true, body: "<!-- cutover:release shop v1.0.0 -->\n" });
});
listed("/repos/{owner}/{repo}/releases/{release_id}/assets", (asset) => {
  Object.assign(asset, { name: "example.zip", state: "open" });
});
// Of the bytes of a release's file it only tells in words: that they are asked for by this header.
const bytes = document.paths["/repos/{owner}/{repo}/releases/assets/{asset_id}"].get.responses["200"].content;
bytes["application/octet-stream"] = { schema: { type: "string", format: "binary" }, example: "bytes" };
// Its example of a file holds no base64.
document.components.examples["content-file-response-if-content-is-a-file"].value.content = "cmVhZCBtZQ==\n";
// Files go where the server says, and this one is on this machine.
for (const [name, { value }] of Object.entries(document.components.examples)) {
  const here = `http://127.0.0.1:${process.argv[3]}`;
  for (const one of name.startsWith("release") ? [value].flat() : []) {
    if (one.upload_url) one.upload_url = one.upload_url.replace("https://uploads.github.com", here);
  }
}
writeFileSync(join(work, "document.json"), JSON.stringify(document));
const version = JSON.parse(readFileSync(join(work, "node_modules/@octokit/openapi/package.json"), "utf8")).version;
console.log(`@octokit/openapi ${version}: ${Object.keys(document.paths).length} paths`);
