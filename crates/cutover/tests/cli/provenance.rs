//! Provenance: what is said of an artifact, who signed it, and what is refused without.

use crate::artifact::{age, build_while_it_leaves};
use crate::sandbox::Sandbox;
use cutover_testkit::s3::{FakeS3, Mishap};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Makes a key in a sandbox, outside of its repository, and says where.
pub(crate) fn key(sandbox: &Sandbox, name: &str) -> PathBuf {
    let path = sandbox.path().join(name);
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"]).arg(&path).status();
    assert!(made.unwrap().success());
    path
}

/// A machine that shares artifacts, whose project deploys only what `builder` has signed.
fn signing() -> (Sandbox, PathBuf) {
    let sandbox = Sandbox::deployable("");
    let builder = key(&sandbox, "builder");
    fs::create_dir(sandbox.path().join("shared")).unwrap();
    let public = fs::read_to_string(builder.with_extension("pub")).unwrap();
    sandbox.write("allowed_signers", &format!("builds@example.org namespaces=\"cutover-provenance\" {public}"));
    let config = fs::read_to_string(sandbox.repo().join("cutover.toml")).unwrap();
    let shared = sandbox.path().join("shared").display().to_string();
    let artifact = format!("\n[artifact]\nsigners = \"allowed_signers\"\nstore.directory = \"{shared}\"\n");
    sandbox.write("cutover.toml", &(config + &artifact));
    sandbox.commit("Deploy only what is signed");
    (sandbox, builder)
}

fn with_key(sandbox: &Sandbox, key: &Path, args: &[&str]) -> Output {
    let mut command = sandbox.command(env!("CARGO_BIN_EXE_cutover"));
    command.env("CUTOVER_SIGNING_KEY", fs::read_to_string(key).unwrap()).args(args).output().unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The files of the store that end like this.
fn shared(sandbox: &Sandbox, ending: &str) -> Vec<PathBuf> {
    let found = Command::new("find").arg(sandbox.path().join("shared")).args(["-name", &format!("*{ending}")]).output();
    String::from_utf8(found.unwrap().stdout).unwrap().lines().map(PathBuf::from).collect()
}

/// The files of the store that say something signed of an artifact.
fn signed_there(sandbox: &Sandbox) -> Vec<PathBuf> {
    let is_signed = |path: &PathBuf| vouched(path)["signature"].is_string();
    shared(sandbox, ".provenance.json").into_iter().filter(is_signed).collect()
}

/// A statement and its signature as the store has them.
fn vouched(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn what_is_signed_by_one_of_the_signers_is_deployed_and_nothing_else_is() {
    let (sandbox, builder) = signing();
    let unsigned = sandbox.run(&["build"]);
    assert!(unsigned.stderr.contains("note: it is not signed, and cutover.toml names `signers`"), "{unsigned:?}");
    let refused = sandbox.run(&["deploy", "production", "--commit", "HEAD"]);
    assert_eq!(refused.code, 5, "{refused:?}");
    assert!(refused.stderr.contains("its provenance is not signed\n  state: nothing was deployed"), "{refused:?}");

    // Given somebody whose signatures do not count.
    let stranger = key(&sandbox, "stranger");
    let built = with_key(&sandbox, &stranger, &["build"]);
    assert!(built.status.success(), "{built:?}");
    let refused = sandbox.run(&["deploy", "production", "--commit", "HEAD"]);
    assert!(refused.code == 5 && refused.stderr.contains("it is signed by none of"), "{refused:?}");
    let planned = sandbox.run(&["plan", "production"]);
    assert!(planned.stderr.contains("a deployment would be refused: nobody vouches"), "{planned:?}");

    let id = sandbox.run(&["build"]).stdout.trim().to_owned();
    let built = with_key(&sandbox, &builder, &["artifact", "push", "--again", &id]);
    assert!(built.status.success(), "{built:?}");
    let deployed = sandbox.run(&["deploy", "production", "--commit", "HEAD"]);
    assert_eq!(deployed.code, 0, "{deployed:?}");
    assert!(deployed.stderr.contains("is signed by builds@example.org"), "{deployed:?}");
    sandbox.write("app.py", "print('not committed')\n");
    assert_eq!(sandbox.run(&["deploy", "production", "--dirty"]).code, 5, "nobody signs what is not committed");
}

#[test]
fn a_deployment_signs_what_it_packs_where_the_key_is_and_packs_nothing_where_it_is_not() {
    let (sandbox, builder) = signing();
    let config = fs::read_to_string(sandbox.repo().join("cutover.toml")).unwrap();
    let without_store: Vec<&str> = config.lines().filter(|line| !line.starts_with("store.directory")).collect();
    sandbox.write("cutover.toml", &(without_store.join("\n") + "\n"));
    sandbox.commit("Share nothing");

    let refused = sandbox.run(&["deploy", "production"]);

    assert_eq!(refused.code, 5, "{refused:?}");
    assert!(refused.stderr.contains("there is no key here that could sign it"), "{refused:?}");
    assert!(refused.stderr.contains("CUTOVER_SIGNING_KEY"), "{refused:?}");
    let manifests = sandbox.data_dir().join("artifacts/manifests");
    assert!(fs::read_dir(manifests).map_or(true, |mut all| all.next().is_none()), "nothing was packed");

    // Given a plan, which packs and signs nothing.
    let planned = with_key(&sandbox, &builder, &["plan", "production"]);
    assert!(planned.status.success() && !told(&planned).contains("would be refused"), "{planned:?}");
    let planned = sandbox.run(&["plan", "production"]);
    assert!(planned.stderr.contains("a deployment would be refused: nobody vouches"), "{planned:?}");

    let deployed = with_key(&sandbox, &builder, &["deploy", "production"]);
    assert!(deployed.status.success(), "{deployed:?}");
    assert!(told(&deployed).contains("is signed by builds@example.org"), "{deployed:?}");
    assert_eq!(sandbox.run(&["deploy", "production"]).code, 0, "what is packed here and signed needs no key");
}

#[test]
fn without_a_key_what_was_signed_of_the_commit_is_deployed_and_nothing_packed_anew() {
    let (sandbox, builder) = signing();
    let config = fs::read_to_string(sandbox.repo().join("cutover.toml")).unwrap();
    // Given a build that never gives the same twice.
    sandbox.write("cutover.toml", &config.replace("[artifact]", "[artifact]\nbuild = \"date +%s%N > built\""));
    sandbox.commit("Build");
    let signed = build_signed(&sandbox, &builder);
    forget(&sandbox);

    let planned = sandbox.run(&["plan", "production"]);
    let deployed = sandbox.run(&["deploy", "production"]);

    assert!(!planned.stderr.contains("would be refused"), "{planned:?}");
    assert_eq!(deployed.code, 0, "{deployed:?}");
    assert!(
        deployed.stderr.contains(&format!("artifact {} is signed by builds@example.org", &signed[..12])),
        "{deployed:?}"
    );
}

#[test]
fn with_a_key_whose_signature_does_not_count_it_is_as_without_one() {
    let (sandbox, builder) = signing();
    let stranger = key(&sandbox, "stranger");

    let refused = with_key(&sandbox, &stranger, &["deploy", "production"]);

    assert_eq!(refused.status.code(), Some(5), "{refused:?}");
    assert!(told(&refused).contains("the key here is of none of the config's `signers`"), "{refused:?}");
    assert!(told(&refused).contains("nothing was packed"), "{refused:?}");
    let planned = with_key(&sandbox, &stranger, &["plan", "production"]);
    assert!(planned.status.success(), "{planned:?}");
    let warning = "a deployment would be refused: nobody would vouch for what is packed here: the key here is of none";
    assert!(told(&planned).contains(warning), "{planned:?}");

    let signed = build_signed(&sandbox, &builder);
    forget(&sandbox);
    let deployed = with_key(&sandbox, &stranger, &["deploy", "production"]);

    assert!(deployed.status.success(), "{deployed:?}");
    let signed = format!("artifact {} is signed by builds@example.org", &signed[..12]);
    assert!(told(&deployed).contains(&signed), "{deployed:?}");
}

#[test]
fn what_is_built_says_whether_it_is_signed() {
    let (sandbox, builder) = signing();
    let json = |output: Output| serde_json::from_slice::<Value>(&output.stdout).unwrap()["signed"].clone();
    let without = || sandbox.command(env!("CARGO_BIN_EXE_cutover")).args(["build", "--json"]).output().unwrap();
    assert_eq!(json(without()), false);
    assert_eq!(json(with_key(&sandbox, &builder, &["build", "--json"])), true);
    assert_eq!(json(without()), true, "it is signed by now");
    forget(&sandbox);
    assert_eq!(json(without()), true, "as the store has it");
    assert!(!sandbox.run(&["build"]).stderr.contains("not signed"));
}

#[test]
fn a_builder_with_the_key_signs_what_is_there_unsigned() {
    let (sandbox, builder) = signing();
    sandbox.run(&["build"]);
    assert!(signed_there(&sandbox).is_empty());
    let signed = with_key(&sandbox, &builder, &["build"]);
    assert!(told(&signed).contains("put into"), "{signed:?}");
    let again = with_key(&sandbox, &builder, &["build"]);
    assert!(told(&again).contains("has it already"), "{again:?}");
    assert_eq!(signed_there(&sandbox).len(), 1);
}

#[test]
fn a_statement_that_was_changed_or_is_of_another_artifact_vouches_for_nothing() {
    let (sandbox, builder) = signing();
    with_key(&sandbox, &builder, &["build"]);
    sandbox.write("app.py", "print('v2')\n");
    sandbox.commit("Sell more");
    // The other one is built without the key.
    sandbox.run(&["build"]);
    let [signed] = &signed_there(&sandbox)[..] else { panic!("one is signed") };
    let statements = shared(&sandbox, ".provenance.json");
    let unsigned = statements.iter().find(|path| *path != signed).unwrap();
    let forget = || fs::remove_dir_all(sandbox.data_dir().join("artifacts")).unwrap();

    // Given the signed statement of one artifact beside another.
    fs::copy(signed, unsigned).unwrap();
    forget();
    let refused = sandbox.run(&["deploy", "production", "--commit", "HEAD"]);
    assert!(refused.code == 5 && refused.stderr.contains("is of another artifact"), "{refused:?}");

    let mut changed = vouched(signed);
    changed["statement"] = changed["statement"].as_str().unwrap().replace("\"by\": \"", "\"by\": \"not-").into();
    fs::write(signed, changed.to_string()).unwrap();
    forget();
    let refused = sandbox.run(&["deploy", "production", "--commit", "HEAD~1"]);
    assert!(refused.code == 5 && refused.stderr.contains("does not count"), "{refused:?}");
}

#[test]
fn an_exported_file_has_its_provenance_beside_it_which_anybody_can_verify() {
    let (sandbox, builder) = signing();
    let built = with_key(&sandbox, &builder, &["build", "--output", "../shop.cutover"]);
    let id = String::from_utf8(built.stdout.clone()).unwrap().trim().to_owned();
    assert!(built.status.success(), "{built:?}");
    let [file, statement] = ["shop.cutover", "shop.cutover.intoto.json"].map(|name| sandbox.path().join(name));

    let said: Value = serde_json::from_slice(&fs::read(&statement).unwrap()).unwrap();
    let summed = Command::new("sha256sum").arg(&file).output().unwrap();
    let sha256 = String::from_utf8(summed.stdout).unwrap()[..64].to_owned();
    assert_eq!(said["subject"][0]["digest"], json!({ "sha256": sha256 }));
    assert_eq!(said["subject"][1]["digest"], json!({ "blake3": id }));
    let definition = &said["predicate"]["buildDefinition"];
    assert_eq!(definition["externalParameters"]["project"], "shop");
    assert_eq!(definition["internalParameters"]["by"], "ada");
    let mut verify = Command::new("ssh-keygen");
    verify.args(["-Y", "verify", "-n", "cutover-provenance", "-I", "builds@example.org", "-f"]);
    verify.arg(sandbox.repo().join("allowed_signers")).arg("-s").arg(format!("{}.sig", statement.display()));
    assert!(verify.stdin(fs::File::open(&statement).unwrap()).status().unwrap().success());

    // Given a machine that has nothing but the files.
    fs::remove_dir_all(sandbox.data_dir()).unwrap();
    fs::remove_dir_all(sandbox.path().join("shared/shop")).unwrap();
    let deployed = sandbox.run(&["deploy", "production", "--artifact", "../shop.cutover"]);
    assert_eq!(deployed.code, 0, "{deployed:?}");
    // Without the key, the file is written anew and unsigned: the old signature must not stay.
    assert_eq!(sandbox.run(&["build", "--output", "../shop.cutover"]).code, 0);
    assert!(!sandbox.path().join("shop.cutover.intoto.json.sig").exists());
}

#[test]
fn a_file_is_pulled_as_it_is_in_the_store_with_its_provenance() {
    let (sandbox, builder) = signing();
    let built = with_key(&sandbox, &builder, &["build"]);
    let id = String::from_utf8(built.stdout).unwrap().trim().to_owned();
    fs::remove_dir_all(sandbox.data_dir()).unwrap();

    let pulled = sandbox.run(&["artifact", "pull", &id, "--output", "../shop.cutover"]);

    assert_eq!(pulled.code, 0, "{pulled:?}");
    assert_eq!(
        fs::read(sandbox.path().join("shop.cutover")).unwrap(),
        fs::read(&shared(&sandbox, ".cutover")[0]).unwrap()
    );
    assert!(sandbox.path().join("shop.cutover.intoto.json.sig").exists());
}

#[test]
fn a_key_that_is_none_fails_the_build_and_is_not_shown() {
    let (sandbox, _) = signing();
    let mut command = sandbox.command(env!("CARGO_BIN_EXE_cutover"));
    let output = command.env("CUTOVER_SIGNING_KEY", "made-up-and-no-key").args(["build", "-v"]).output().unwrap();
    let told = told(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("was not signed") && !told.contains("made-up-and-no-key"), "{told}");
    assert!(shared(&sandbox, ".cutover").is_empty(), "nothing unsigned is shared by mistake");
}

#[test]
fn what_checks_had_said_is_in_the_statement() {
    let sandbox = Sandbox::new();
    let config = fs::read_to_string(sandbox.repo().join("cutover.toml")).unwrap();
    sandbox.write("cutover.toml", &(config + "\n[checks.tests]\nrun = \"true\"\n"));
    sandbox.commit("Check");
    assert_eq!(sandbox.run(&["check"]).code, 0);
    assert_eq!(sandbox.run(&["build", "--output", "../shop.cutover"]).code, 0);
    let said: Value =
        serde_json::from_slice(&fs::read(sandbox.path().join("shop.cutover.intoto.json")).unwrap()).unwrap();
    let byproduct = &said["predicate"]["runDetails"]["byproducts"][0];
    assert_eq!(byproduct["annotations"]["tests"]["conclusion"], "success");
}

/// The id of what `cutover build` packs, with the key of a signer.
fn build_signed(sandbox: &Sandbox, key: &Path) -> String {
    let built = with_key(sandbox, key, &["build"]);
    assert!(built.status.success(), "{built:?}");
    String::from_utf8(built.stdout).unwrap().trim().to_owned()
}

/// Has a machine forget all artifacts, as if it were another one.
fn forget(sandbox: &Sandbox) {
    for project in fs::read_dir(sandbox.path().join("home/cutover/projects")).unwrap() {
        fs::remove_dir_all(project.unwrap().path().join("artifacts")).unwrap();
    }
}

fn head(sandbox: &Sandbox) -> String {
    let output = sandbox.command("git").args(["rev-parse", "HEAD"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Has the shared store say that an artifact, of whatever project, is one of this commit of this project.
fn pretend(sandbox: &Sandbox, project: &str, id: &str, commit: &str) {
    let artifacts = |project: &str| sandbox.path().join("shared").join(project).join("artifacts").join(id);
    if project != "shop" {
        fs::create_dir_all(artifacts("shop").parent().unwrap()).unwrap();
        fs::rename(artifacts(project), artifacts("shop")).unwrap();
    }
    let path = artifacts("shop").join("record.json");
    let mut record: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    record["record"]["project"] = json!("shop");
    record["record"]["commit"] = json!(commit);
    fs::write(&path, record.to_string()).unwrap();
    let of_commit = sandbox.path().join("shared/shop/commits").join(commit);
    fs::create_dir_all(&of_commit).unwrap();
    fs::write(of_commit.join(id), id).unwrap();
}

#[test]
fn a_signed_artifact_of_another_project_or_commit_is_not_deployed_whatever_the_store_says_of_it() {
    let (sandbox, builder) = signing();
    let config = fs::read_to_string(sandbox.repo().join("cutover.toml")).unwrap();
    sandbox.write("cutover.toml", &config.replace("name = \"shop\"", "name = \"bank\""));
    sandbox.commit("Be the bank");
    let of_bank = build_signed(&sandbox, &builder);
    sandbox.write("cutover.toml", &config);
    sandbox.commit("Be the shop");
    pretend(&sandbox, "bank", &of_bank, &head(&sandbox));
    let refused = sandbox.run(&["deploy", "production", "--commit", "HEAD"]);
    assert!(refused.code == 1 && refused.stderr.contains("its artifact is of project bank"), "{refused:?}");
    // Its contents are here now.
    let refused = sandbox.run(&["deploy", "production", "--artifact", &of_bank]);
    assert!(refused.code == 2 && refused.stderr.contains("is of project bank, and this is shop"), "{refused:?}");

    fs::remove_dir_all(sandbox.path().join("shared/shop")).unwrap();
    let old = build_signed(&sandbox, &builder);
    forget(&sandbox);
    sandbox.write("app.py", "print('v2')\n");
    sandbox.commit("Sell more");
    pretend(&sandbox, "shop", &old, &head(&sandbox));
    let refused = sandbox.run(&["deploy", "production", "--commit", "HEAD"]);
    assert!(refused.code == 1 && refused.stderr.contains("its artifact is of commit "), "{refused:?}");
    assert!(!sandbox.path().join("srv/current").exists(), "nothing is live");
}

#[test]
fn who_has_the_key_signs_what_was_packed_here_and_nothing_that_was_taken_in() {
    let (sandbox, builder) = signing();
    let id = sandbox.run(&["build"]).stdout.trim().to_owned();
    forget(&sandbox);
    let refused = sandbox.run(&["deploy", "production", "--commit", "HEAD"]);
    assert_eq!(refused.code, 5, "{refused:?}");

    // Given that it was kept here all the same.
    let pushed = with_key(&sandbox, &builder, &["artifact", "push", "--again", &id]);

    assert!(pushed.status.success(), "{pushed:?}");
    assert!(signed_there(&sandbox).is_empty(), "{pushed:?}");
    assert_eq!(sandbox.run(&["deploy", "production", "--commit", "HEAD"]).code, 5);
    assert_eq!(build_signed(&sandbox, &builder), id, "the same was packed here");
    assert_eq!(signed_there(&sandbox).len(), 1);
}

#[test]
fn what_is_signed_says_how_it_was_packed_and_not_what_the_config_and_the_run_are_when_it_is_signed() {
    let (sandbox, builder) = signing();
    let config = fs::read_to_string(sandbox.repo().join("cutover.toml")).unwrap();
    let with =
        |table: &str| sandbox.write("cutover.toml", &config.replace("[artifact]", &format!("[artifact]\n{table}")));
    with("build = \"echo much > built.txt\"");
    sandbox.commit("Build");
    let id = sandbox.run(&["build"]).stdout.trim().to_owned();

    // Given another config, and a run that has packed nothing.
    with("build = \"make release\"\ninclude = [\"src/**\"]");
    let mut command = sandbox.command(env!("CARGO_BIN_EXE_cutover"));
    for (name, value) in [
        ("ACTIONS", "true"),
        ("SERVER_URL", "https://github.example.org"),
        ("REPOSITORY", "ada/shop"),
        ("WORKFLOW_REF", "ada/shop/.github/workflows/release.yml@refs/heads/main"),
        ("RUN_ID", "77"),
    ] {
        command.env(format!("GITHUB_{name}"), value);
    }
    command.env("CUTOVER_SIGNING_KEY", fs::read_to_string(&builder).unwrap());
    let pushed = command.args(["artifact", "push", "--again", &id]).output().unwrap();

    assert!(pushed.status.success(), "{pushed:?}");
    let [there] = &signed_there(&sandbox)[..] else { panic!("it is signed") };
    let said: Value = serde_json::from_str(vouched(there)["statement"].as_str().unwrap()).unwrap();
    let [definition, run] = ["buildDefinition", "runDetails"].map(|part| &said["predicate"][part]);
    let parameters = &definition["externalParameters"];
    assert_eq!(parameters["build"], "echo much > built.txt");
    assert_eq!(parameters["include"], json!(["**"]));
    assert_eq!(
        (&run["builder"]["id"], &run["metadata"]["invocationId"]),
        (&json!("urn:cutover:builder:local"), &Value::Null)
    );
}

#[test]
fn what_was_packed_nobody_knows_how_is_not_signed_before_it_is_packed_again() {
    let (sandbox, builder) = signing();
    let id = sandbox.run(&["build"]).stdout.trim().to_owned();
    fs::write(sandbox.data_dir().join("artifacts/packed").join(&id), "").unwrap();

    let pushed = with_key(&sandbox, &builder, &["artifact", "push", "--again", &id]);

    assert!(pushed.status.success(), "{pushed:?}");
    assert!(signed_there(&sandbox).is_empty(), "{pushed:?}");
    assert_eq!(build_signed(&sandbox, &builder), id);
    assert_eq!(signed_there(&sandbox).len(), 1);
}

#[test]
fn a_signature_that_does_not_count_is_replaced_by_one_that_does_and_never_the_other_way_round() {
    let (sandbox, builder) = signing();
    build_signed(&sandbox, &builder);
    let [there] = &signed_there(&sandbox)[..] else { panic!("it is signed") };
    let (good, deploy) = (vouched(there), ["deploy", "production", "--commit", "HEAD"]);
    // What is here is not given up for junk.
    let mut junk = good.clone();
    junk["signature"] = "junk".into();
    fs::write(there, junk.to_string()).unwrap();
    let id = sandbox.run(&["artifact", "list", "--json"]).json()["artifacts"][0]["record"]["id"].clone();
    assert_eq!(sandbox.run(&["artifact", "pull", id.as_str().unwrap()]).code, 0);
    assert_eq!(sandbox.run(&deploy).code, 0);

    let built = with_key(&sandbox, &builder, &["build"]);
    assert!(told(&built).contains("put into"), "the junk is replaced: {built:?}");
    let [now, before] = [vouched(there), good].map(|said| said["signature"].as_str().unwrap()[..20].to_owned());
    assert_eq!(now, before);

    let stranger = key(&sandbox, "stranger");
    let kept = fs::read(there).unwrap();
    let pushed = with_key(&sandbox, &stranger, &["artifact", "push", "--again", id.as_str().unwrap()]);
    assert!(pushed.status.success(), "{pushed:?}");
    forget(&sandbox);
    let deployed = sandbox.run(&deploy);
    assert_eq!(deployed.code, 0, "what counts is not replaced: {deployed:?}");
    assert_eq!(fs::read(there).unwrap(), kept);
}

#[test]
fn what_a_crash_left_of_a_statement_says_nothing() {
    let (sandbox, builder) = signing();
    let id = build_signed(&sandbox, &builder);
    let empty = sandbox.data_dir().join("artifacts/provenance").join(format!("{id}.json"));
    assert!(empty.exists(), "{}", empty.display());
    fs::write(&empty, "").unwrap();
    let deployed = sandbox.run(&["deploy", "production", "--commit", "HEAD"]);
    assert_eq!(deployed.code, 0, "the store has it whole: {deployed:?}");

    let config = fs::read_to_string(sandbox.repo().join("cutover.toml")).unwrap();
    sandbox.write("cutover.toml", &config.replace("signers = \"allowed_signers\"\n", ""));
    fs::write(&empty, "").unwrap();
    let deployed = sandbox.run(&["deploy", "production", "--artifact", &id]);
    assert_eq!(deployed.code, 0, "nobody asks for signatures: {deployed:?}");
}

#[test]
fn what_is_not_committed_is_neither_signed_nor_deployed_where_signatures_are_asked_for() {
    let (sandbox, builder) = signing();
    sandbox.write("app.py", "print('not committed')\n");

    let built = with_key(&sandbox, &builder, &["build", "--dirty", "--output", "../shop.cutover"]);

    assert!(built.status.success(), "{built:?}");
    assert!(!sandbox.path().join("shop.cutover.intoto.json.sig").exists());
    let deployed = with_key(&sandbox, &builder, &["deploy", "production", "--dirty"]);
    assert_eq!(deployed.status.code(), Some(5), "{deployed:?}");
    assert!(told(&deployed).contains("it has uncommitted changes, which nobody signs"), "{deployed:?}");
}

#[test]
fn a_file_of_signers_that_is_missing_is_said_to_be() {
    let (sandbox, builder) = signing();
    build_signed(&sandbox, &builder);
    fs::remove_file(sandbox.repo().join("allowed_signers")).unwrap();
    let refused = sandbox.run(&["deploy", "production", "--commit", "HEAD"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("nobody knows whose signatures count: there is no file"), "{refused:?}");
}

#[test]
fn of_several_artifacts_of_a_commit_the_newest_that_is_signed_is_deployed() {
    let (sandbox, builder) = signing();
    let config = fs::read_to_string(sandbox.repo().join("cutover.toml")).unwrap();
    // Given a build that never gives the same twice.
    sandbox.write("cutover.toml", &config.replace("[artifact]", "[artifact]\nbuild = \"date +%s%N > built\""));
    sandbox.commit("Build");
    let signed = build_signed(&sandbox, &builder);
    let unsigned = sandbox.run(&["build", "--again"]).stdout.trim().to_owned();
    assert_ne!(signed, unsigned);
    let deploy = ["deploy", "production", "--commit", "HEAD", "--dry-run"];
    assert_eq!(sandbox.run(&deploy).code, 0, "what is here and signed");
    forget(&sandbox);

    let deployed = sandbox.run(&deploy);

    assert_eq!(deployed.code, 0, "{deployed:?}");
    assert!(deployed.stderr.contains(&format!("{} is the newest that is signed", &signed[..12])), "{deployed:?}");
}

#[test]
fn a_store_that_does_not_answer_is_asked_once_and_what_is_refused_is_still_called_unsigned() {
    let (sandbox, _) = signing();
    let fake = FakeS3::start("shop", "made-up-id").unwrap();
    let config = fs::read_to_string(sandbox.repo().join("cutover.toml")).unwrap();
    let bucket = format!("store.s3 = {{ bucket = \"shop\", endpoint = \"{}\" }}", fake.endpoint());
    let directory = format!("store.directory = \"{}\"", sandbox.path().join("shared").display());
    sandbox.write("cutover.toml", &config.replace(&directory, &bucket));
    sandbox.commit("Share in a bucket");
    let keys = [("AWS_ACCESS_KEY_ID", "made-up-id"), ("AWS_SECRET_ACCESS_KEY", "made-up-secret")];
    assert_eq!(sandbox.run_with(&["build"], &keys).code, 0);
    let deploy = ["deploy", "production", "--commit", "HEAD"];
    let before = fake.received().len();
    (0..20).for_each(|_| fake.order("GET", Mishap::Answer(503, "SlowDown")));

    let refused = sandbox.run_with(&deploy, &keys);

    assert_eq!(refused.code, 5, "{refused:?}");
    assert!(refused.stderr.contains("its provenance is not signed; what the artifact store has"), "{refused:?}");
    assert!(refused.stderr.contains("it answered 503"), "{refused:?}");
    assert_eq!(fake.received().len() - before, 2, "once, and once more: {:?}", fake.received());
    let refused = sandbox.run(&deploy);
    assert!(refused.code == 5 && refused.stderr.contains("AWS_ACCESS_KEY_ID is not set"), "{refused:?}");
}

#[test]
fn where_no_signers_are_named_a_signature_counts_whoever_made_it_and_bytes_that_are_none_do_not() {
    let (sandbox, builder) = signing();
    let config = fs::read_to_string(sandbox.repo().join("cutover.toml")).unwrap();
    sandbox.write("cutover.toml", &config.replace("signers = \"allowed_signers\"\n", ""));
    sandbox.commit("Let anybody sign");
    build_signed(&sandbox, &builder);
    let [there] = &signed_there(&sandbox)[..] else { panic!("it is signed") };
    let again = with_key(&sandbox, &key(&sandbox, "another"), &["build"]);
    assert!(told(&again).contains("has it already"), "{again:?}");

    let mut junk = vouched(there);
    junk["signature"] = "junk".into();
    fs::write(there, junk.to_string()).unwrap();

    let built = with_key(&sandbox, &builder, &["build"]);
    assert!(told(&built).contains("put into"), "the junk is replaced: {built:?}");
    assert!(vouched(there)["signature"].as_str().unwrap().starts_with("-----BEGIN SSH SIGNATURE-----"));
}

#[test]
fn what_is_built_again_stays_signed_although_a_prune_takes_its_provenance_and_fails_then() {
    let (sandbox, builder) = signing();
    let built = with_key(&sandbox, &builder, &["build"]);
    let id = String::from_utf8(built.stdout).unwrap();
    let of_it = sandbox.path().join("shared/shop/artifacts").join(id.trim());
    age(&of_it);
    build_while_it_leaves(&sandbox, &of_it, &[".provenance.json"]);
    assert_eq!(signed_there(&sandbox).len(), 1);
}
