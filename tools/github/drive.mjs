// Does with GitHub's own client what Cutover does, and more, through Prism to the fake. Prism answers with an error of its own
// where a request or an answer is not as GitHub describes it.
import assert from "node:assert/strict";
import { Octokit } from "@octokit/rest";

const [validated, direct] = process.argv.slice(2);
const request = { log: { debug() {}, info() {}, warn() {}, error() {} }, auth: process.env.GITHUB_TOKEN };
const octokit = new Octokit({ ...request, baseUrl: validated });
const behind = new Octokit({ ...request, baseUrl: direct });
const repo = { owner: "shop", repo: "app" };
const sha = "c".repeat(40);
let answers = 0;
octokit.hook.after("request", () => void answers++);

let refusals = 0;
async function refused(status, promise) {
  const error = await promise.then(() => assert.fail("it was taken"), (error) => error);
  assert.equal(error.status, status, error.message);
  refusals++;
}

// Statuses.
for (const state of ["pending", "success", "failure", "error"]) {
  const made = await octokit.rest.repos.createCommitStatus({ ...repo, sha, state, context: "c", description: "d", target_url: "https://x" });
  assert.equal(made.status, 201);
}
const statuses = await octokit.rest.repos.listCommitStatusesForRef({ ...repo, ref: sha });
assert.deepEqual(statuses.data.map((one) => one.state), ["error", "failure", "success", "pending"]);

// Check runs.
const run = await octokit.rest.checks.create({ ...repo, name: "cutover: shop", head_sha: sha, status: "in_progress", external_id: "k", started_at: "2026-11-21T10:00:00Z" });
assert.equal(run.status, 201);
const annotation = (line) => ({ path: "shop.py", start_line: line, end_line: line, annotation_level: "failure", message: "m", title: "t" });
const annotations = Array.from({ length: 50 }, (_, at) => annotation(at + 1));
const check_run_id = run.data.id;
const output = { title: "t", summary: "s", annotations };
await octokit.rest.checks.update({ ...repo, check_run_id, status: "completed", conclusion: "failure", completed_at: "2026-11-21T10:00:00Z", output });
await octokit.rest.checks.update({ ...repo, check_run_id, output: { ...output, annotations: [annotation(51)] } });
const shown = await octokit.rest.checks.get({ ...repo, check_run_id });
assert.equal(shown.data.output.annotations_count, 51);
assert.equal(shown.data.conclusion, "failure");
const runs = await octokit.rest.checks.listForRef({ ...repo, ref: sha, check_name: "cutover: shop", filter: "all" });
assert.equal(runs.data.total_count, 1);
// Prism itself refuses what GitHub's document forbids, so the fake is asked for that without it.
await refused(422, behind.rest.checks.update({ ...repo, check_run_id, output: { ...output, annotations: [...annotations, annotation(51)] } }));
await refused(422, behind.rest.checks.update({ ...repo, check_run_id, output: { title: "t", summary: "ä".repeat(32_768) } }));
await refused(404, octokit.rest.checks.get({ ...repo, check_run_id: 1 }));

// Comments, over several pages.
for (let at = 0; at < 130; at++) {
  const made = await octokit.rest.issues.createComment({ ...repo, issue_number: 7, body: `comment ${at}` });
  assert.equal(made.status, 201);
}
const pages = [];
for (let page = 1; page <= 2; page++) {
  const listed = await octokit.rest.issues.listComments({ ...repo, issue_number: 7, per_page: 100, page });
  pages.push(listed.data.length);
}
assert.deepEqual(pages, [100, 30]);
const all = await behind.paginate(behind.rest.issues.listComments, { ...repo, issue_number: 7, per_page: 50 });
assert.equal(all.length, 130);
const changed = await octokit.rest.issues.updateComment({ ...repo, comment_id: all[0].id, body: "x".repeat(65_536) });
assert.equal(changed.data.body.length, 65_536);
await refused(422, behind.rest.issues.updateComment({ ...repo, comment_id: all[0].id, body: "x".repeat(65_537) }));

// Deployments.
const wish = { ...repo, ref: sha, environment: "production", auto_merge: false, required_contexts: [], payload: { cutover: { project: "shop" } } };
const deployment = await octokit.rest.repos.createDeployment(wish);
assert.equal(deployment.status, 201);
await octokit.rest.repos.createDeployment({ ...wish, environment: "staging" });
for (const state of ["queued", "pending", "in_progress", "success", "failure", "error", "inactive"]) {
  const told = { ...repo, deployment_id: deployment.data.id, state, log_url: "https://x", environment_url: "https://y", description: "d", auto_inactive: false };
  assert.equal((await octokit.rest.repos.createDeploymentStatus(told)).status, 201);
}
const told = await octokit.rest.repos.listDeploymentStatuses({ ...repo, deployment_id: deployment.data.id, per_page: 1 });
assert.deepEqual(told.data.map((one) => one.state), ["inactive"]);
const listed = await octokit.rest.repos.listDeployments({ ...repo, environment: "production", sha });
assert.equal(listed.data.length, 1);
assert.deepEqual(listed.data[0].payload, { cutover: { project: "shop" } });
await refused(409, octokit.rest.repos.createDeployment({ ...wish, required_contexts: undefined }));
assert.equal((await octokit.rest.repos.createDeployment({ ...wish, auto_merge: true })).status, 202);

// Pull requests.
const pulls = await octokit.rest.pulls.list({ ...repo, head: "stranger:topic", state: "open", per_page: 100 });
assert.deepEqual(pulls.data.map((pull) => [pull.number, pull.head.sha]), [[7, sha]]);
assert.equal((await octokit.rest.pulls.list({ ...repo, head: "nobody:topic" })).data.length, 0);
const merged = await octokit.rest.repos.listPullRequestsAssociatedWithCommit({ ...repo, commit_sha: "d".repeat(40) });
assert.deepEqual(merged.data.map((pull) => [pull.number, pull.state, pull.merge_commit_sha]), [[8, "closed", "d".repeat(40)]]);
assert.ok(merged.data[0].merged_at);

// Tags and releases.
const tag = await octokit.rest.git.createTag({ ...repo, tag: "shop/v1.0.0", message: "shop 1.0.0", object: sha, type: "commit" });
assert.equal(tag.status, 201);
await refused(404, octokit.rest.git.getRef({ ...repo, ref: "tags/shop/v1.0.0" }));
assert.equal((await octokit.rest.git.createRef({ ...repo, ref: "refs/tags/shop/v1.0.0", sha: tag.data.sha })).status, 201);
await refused(422, octokit.rest.git.createRef({ ...repo, ref: "refs/tags/shop/v1.0.0", sha }));
const reference = await octokit.rest.git.getRef({ ...repo, ref: "tags/shop/v1.0.0" });
assert.deepEqual([reference.data.object.type, reference.data.object.sha], ["tag", tag.data.sha]);
const peeled = await octokit.rest.git.getTag({ ...repo, tag_sha: tag.data.sha });
assert.equal(peeled.data.object.sha, sha);
const version = { ...repo, tag_name: "shop/v1.0.0", name: "shop 1.0.0", body: "new" };
const draft = await octokit.rest.repos.createRelease({ ...version, draft: true });
assert.equal(draft.status, 201);
const release_id = draft.data.id;
await refused(404, octokit.rest.repos.getReleaseByTag({ ...repo, tag: "shop/v1.0.0" }));
assert.deepEqual((await octokit.rest.repos.listReleases(repo)).data.map((one) => one.draft), [true]);
const file = { ...repo, release_id, name: "shop-1.0.0.cutover", data: Buffer.from("packed"), baseUrl: validated };
const asset = await octokit.rest.repos.uploadReleaseAsset({ ...file, headers: { "content-type": "application/octet-stream" } });
assert.deepEqual([asset.status, asset.data.state, asset.data.size], [201, "uploaded", 6]);
await refused(422, octokit.rest.repos.uploadReleaseAsset({ ...file, headers: { "content-type": "application/octet-stream" } }));
const shownRelease = await octokit.rest.repos.updateRelease({ ...repo, release_id, draft: false, make_latest: "legacy" });
assert.equal(shownRelease.data.draft, false);
const byTag = await octokit.rest.repos.getReleaseByTag({ ...repo, tag: "shop/v1.0.0" });
assert.deepEqual(byTag.data.assets.map((one) => one.name), ["shop-1.0.0.cutover"]);
const assets = await octokit.rest.repos.listReleaseAssets({ ...repo, release_id });
assert.equal((await octokit.rest.repos.deleteReleaseAsset({ ...repo, asset_id: assets.data[0].id })).status, 204);
await refused(422, octokit.rest.repos.createRelease(version));

// A release whose files are a store: names that GitHub changes, names that are taken, and bytes that are elsewhere.
const shelf = await octokit.rest.repos.createRelease({ ...repo, tag_name: "store", draft: false, prerelease: true, make_latest: "false" });
assert.deepEqual([shelf.data.draft, shelf.data.prerelease], [false, true]);
assert.equal((await octokit.rest.git.getRef({ ...repo, ref: "tags/store" })).data.object.type, "commit");
const put = (name, data) => octokit.rest.repos.uploadReleaseAsset({ ...repo, release_id: shelf.data.id, name, data: Buffer.from(data),
  baseUrl: validated, headers: { "content-type": "application/octet-stream" } });
assert.equal((await put(".a b (1).", "packed")).data.name, "a.b.1");
const kept = await put("shop_-a_v0123456789abcdef", "packed");
assert.equal(kept.data.name, "shop_-a_v0123456789abcdef");
await refused(422, put("shop_-a_v0123456789abcdef", "other"));
const bytes = await behind.rest.repos.getReleaseAsset({ ...repo, asset_id: kept.data.id, headers: { accept: "application/octet-stream" } });
assert.equal(Buffer.from(bytes.data).toString(), "packed");
assert.equal((await octokit.rest.repos.getReleaseAsset({ ...repo, asset_id: kept.data.id })).data.size, 6);
const whole = await octokit.rest.repos.getReleaseByTag({ ...repo, tag: "store" });
assert.deepEqual(whole.data.assets.map((one) => one.state), ["uploaded", "uploaded"]);
await refused(422, behind.rest.repos.updateRelease({ ...repo, release_id, body: "x".repeat(125_001) }));

// Settings and rulesets.
assert.equal((await octokit.rest.repos.get(repo)).data.default_branch, "main");
assert.equal((await octokit.rest.actions.getGithubActionsPermissionsRepository(repo)).data.enabled, true);
await octokit.rest.actions.getAllowedActionsRepository(repo);
await octokit.rest.actions.getGithubActionsDefaultWorkflowPermissionsRepository(repo);
const environment_name = "production";
const set_up = await octokit.rest.repos.getEnvironment({ ...repo, environment_name });
assert.equal(set_up.data.protection_rules[0].reviewers.length, 1);
const patterns = await octokit.rest.repos.listDeploymentBranchPolicies({ ...repo, environment_name });
assert.deepEqual(patterns.data.branch_policies.map((one) => one.name), ["main"]);
const names = await octokit.rest.actions.listEnvironmentSecrets({ ...repo, environment_name });
assert.deepEqual(names.data.secrets.map((one) => one.name), ["APP_TOKEN"]);
assert.equal((await octokit.rest.actions.listRepoSecrets(repo)).data.total_count, 0);
assert.equal((await octokit.rest.actions.listRepoOrganizationSecrets(repo)).data.total_count, 0);
await octokit.rest.repos.getBranch({ ...repo, branch: "main" });
const content = await octokit.rest.repos.getContent({ ...repo, path: "README.md" });
assert.equal(Buffer.from(content.data.content, "base64").toString(), "read me ".repeat(20));
const ruleset = {
  ...repo, name: "cutover: shop", target: "branch", enforcement: "active",
  conditions: { ref_name: { include: ["refs/heads/main"], exclude: [] } },
  rules: [{ type: "deletion" }, { type: "required_status_checks", parameters: {
    strict_required_status_checks_policy: true, required_status_checks: [{ context: "checks" }] } }],
};
const protecting = await octokit.rest.repos.createRepoRuleset(ruleset);
assert.equal(protecting.status, 201);
const ruleset_id = protecting.data.id;
assert.equal((await octokit.rest.repos.getRepoRuleset({ ...repo, ruleset_id })).data.rules.length, 2);
assert.equal((await octokit.rest.repos.getRepoRulesets(repo)).data.length, 1);
const rules = await octokit.rest.repos.getBranchRules({ ...repo, branch: "main" });
assert.deepEqual(rules.data.map((one) => [one.type, one.ruleset_id]), [["deletion", ruleset_id], ["required_status_checks", ruleset_id]]);
await octokit.rest.repos.updateRepoRuleset({ ...ruleset, ruleset_id, enforcement: "disabled" });
assert.equal((await octokit.rest.repos.getBranchRules({ ...repo, branch: "main" })).data.length, 0);

// Tokens. GitHub's document does not say of most calls that they can be refused so.
const stranger = new Octokit({ ...request, auth: "ghs_somebody_else", baseUrl: direct });
await refused(401, stranger.rest.issues.createComment({ ...repo, issue_number: 7, body: "x" }));
await refused(403, octokit.rest.users.getAuthenticated());

console.log(`Octokit: ${answers} answers through Prism are as GitHub describes them, and ${refusals} refusals as they should be`);
