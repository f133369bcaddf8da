//! GitLab's pipeline: the scripts of its jobs run for real, one after the other, as its runner would, in directories of their own.

use crate::project::{Project, told};
use crate::pull_request;
use cutover_testkit::yaml;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

struct Pipeline<'a> {
    project: &'a Project,
    file: Value,
    /// What began it, as `CI_PIPELINE_SOURCE` says.
    source: &'static str,
}

impl<'a> Pipeline<'a> {
    /// The pipeline of what is committed.
    fn new(project: &'a Project) -> Self {
        let written = project.cutover(&["workflows", "--gitlab"]);
        assert!(written.status.success(), "{}", told(&written));
        project.commit("1");
        let file = yaml(&fs::read_to_string(project.runner.origin().join(".gitlab-ci.yml")).unwrap());
        Self { project, file, source: "push" }
    }

    fn dir(&self, job: &str) -> PathBuf {
        self.project.path(&format!("machines/{job}"))
    }

    /// Runs a job with what another one left, with these variables of the settings.
    fn run(&self, job: &str, before: Option<&str>, settings: &[(&str, &str)]) -> Output {
        let dir = self.dir(job);
        let origin = format!("file://{}", self.project.runner.origin().display());
        let cloned = Command::new("git").args(["clone", "--quiet", &origin, dir.to_str().unwrap()]).status().unwrap();
        assert!(cloned.success());
        for path in before.into_iter().flat_map(|before| self.left(before)) {
            let copied = Command::new("cp").arg("-r").arg(path).arg(&dir).status().unwrap();
            assert!(copied.success());
        }
        let lines = |list: &Value| {
            list.as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let scripts = [lines(&self.file["default"]["before_script"]), lines(&self.file[job]["script"])].concat();
        let mut command = Command::new("sh");
        command.args(["-e", "-c", &scripts.join("\n")]).current_dir(&dir).env_clear().stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", self.project.path("home"));
        command.env("CI", "true").env("CI_PROJECT_DIR", &dir).env("CI_COMMIT_BRANCH", "main");
        command.env("CI_PIPELINE_URL", "https://gitlab.com/ada/shop/-/pipelines/1");
        command.env("GITLAB_CI", "true").env("CI_PIPELINE_SOURCE", self.source);
        for (name, value) in self.file["variables"].as_object().unwrap() {
            command.env(name, value["value"].as_str().or(value.as_str()).unwrap());
        }
        if let Some(name) = self.file[job]["environment"]["name"].as_str() {
            command.env("CI_ENVIRONMENT_NAME", name).envs(settings.iter().copied());
        }
        command.output().unwrap()
    }

    /// What a job left for others.
    fn left(&self, job: &str) -> Vec<PathBuf> {
        let paths = self.file[job]["artifacts"]["paths"].as_array().unwrap();
        paths.iter().map(|path| self.dir(job).join(path.as_str().unwrap())).collect()
    }
}

#[test]
fn what_is_pushed_is_judged_packed_once_and_deployed_and_goes_back_by_hand() {
    let project = Project::new("");
    let config = fs::read_to_string(project.path("origin/cutover.toml")).unwrap();
    let required = "[environments.production]\nrequired_checks = \"tests\"\n";
    project.write("cutover.toml", &config.replace("[environments.production]\n", required));
    let pipeline = Pipeline::new(&project);
    let settings = [("APP_TOKEN", project.token.as_str())];

    for (job, before) in [("checks", None), ("build", Some("checks")), ("deploy-production", Some("build"))] {
        let ran = pipeline.run(job, before, &settings);
        assert!(ran.status.success(), "{job}: {}", told(&ran));
        assert!(!told(&ran).contains(&project.token), "{job}");
    }

    assert_eq!(project.serving().as_deref(), Some("1"));
    assert_eq!(project.history("production")[0]["reason"], "https://gitlab.com/ada/shop/-/pipelines/1");
    let record: Value = serde_json::from_slice(&fs::read(&pipeline.left("checks")[0]).unwrap()).unwrap();
    assert_eq!(record["run"]["conclusion"], "success");
    // There is nothing to go back to yet, and that is what it says.
    let back = pipeline.run("rollback-production", None, &[("RELEASE", "2026"), ("REASON", "try")]);
    assert!(!back.status.success() && told(&back).contains("2026"), "{}", told(&back));
}

#[test]
fn a_check_that_fails_leaves_its_record_and_fails_its_job() {
    let project = Project::new("");
    project.write("broken", "");
    let pipeline = Pipeline::new(&project);

    let ran = pipeline.run("checks", None, &[]);

    assert_eq!(ran.status.code(), Some(5), "{}", told(&ran));
    let record: Value = serde_json::from_slice(&fs::read(&pipeline.left("checks")[0]).unwrap()).unwrap();
    assert_eq!(record["run"]["conclusion"], "failure");
}

#[test]
fn variables_that_are_missing_are_told() {
    let project = Project::new("");
    let pipeline = Pipeline::new(&project);

    let ran = pipeline.run("deploy-production", None, &[]);

    assert_eq!(ran.status.code(), Some(1), "{}", told(&ran));
    assert!(told(&ran).contains("Secrets are missing: APP_TOKEN\n"), "{}", told(&ran));
}

#[test]
fn a_merge_request_is_tried_out_without_what_opens_the_shared_store_and_a_push_needs_it() {
    // Given artifacts in a bucket that is not there,
    let store = "\n[artifact.store.s3]\nbucket = \"shop\"\nendpoint = \"http://127.0.0.1:1\"\n";
    let project = pull_request::project_with(store);
    let mut pipeline = Pipeline::new(&project);

    // when something is pushed, then the bucket's keys are asked for by name;
    let pushed = pipeline.run("deploy-test", None, &[]);
    let missing = "Secrets are missing: AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY\n";
    assert!(pushed.status.code() == Some(1) && told(&pushed).contains(missing), "{}", told(&pushed));
    fs::remove_dir_all(pipeline.dir("deploy-test")).unwrap();

    // when it is a merge request, then it is packed and tried out, and nothing is said of the bucket.
    pipeline.source = "merge_request_event";
    for (job, before) in [("checks", None), ("build", Some("checks")), ("deploy-test", Some("build"))] {
        let ran = pipeline.run(job, before, &[]);
        assert!(ran.status.success(), "{job}: {}", told(&ran));
        assert!(!told(&ran).contains("artifact store"), "{job}: {}", told(&ran));
    }
    assert_eq!(project.serving().as_deref(), Some("1"));
}
