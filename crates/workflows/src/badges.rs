//! Pictures for a README that say how the newest run for a branch ended.

use crate::github;
use crate::github::{CHECKS, DEPLOY};
use crate::{Project, gitlab};
use cutover_core::config::Config;
use cutover_core::percent::encoded;
use std::collections::BTreeMap;

/// A picture, what it is of, and where it leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Badge {
    /// What it is of: the environments that the branch is deployed to, or the checks.
    pub of: String,
    /// The picture's address.
    pub image: String,
    /// The address of the runs.
    pub link: String,
}

impl Badge {
    /// As Markdown. Neither names of environments nor encoded addresses have anything in them that ends it.
    pub fn markdown(&self) -> String {
        format!("[![{}]({})]({})", self.of, self.image, self.link)
    }
}

/// The badges of a repository that is at this address, such as `https://github.com/shop/app`: one for each branch that is deployed
/// from, else one of the checks. <https://docs.github.com/actions/how-tos/monitor-workflows/add-a-status-badge>
pub fn github_badges(project: &Project<'_>, site: &str) -> Vec<Badge> {
    let written = github(project).files;
    let runs = |path: &str| {
        let file = path.rsplit('/').next().unwrap_or(path);
        written.iter().any(|file| file.path == path).then(|| format!("{site}/actions/workflows/{file}"))
    };
    let deploys = runs(DEPLOY).into_iter().flat_map(|runs| {
        let badge = move |(branch, of): (&str, Vec<&str>)| {
            let branch = encoded(branch);
            let of = of.join(", ");
            // A search of runs, as the field above their list has it.
            Badge {
                of,
                image: format!("{runs}/badge.svg?branch={branch}"),
                link: format!("{runs}?query=branch%3A{branch}"),
            }
        };
        branches(project.config).into_iter().map(badge)
    });
    let deploys: Vec<Badge> = deploys.collect();
    if !deploys.is_empty() {
        return deploys;
    }
    // Without a branch it is of the default branch.
    let checks =
        runs(CHECKS).map(|runs| Badge { of: "checks".to_owned(), image: format!("{runs}/badge.svg"), link: runs });
    checks.into_iter().collect()
}

/// The same for GitLab, whose pipeline of a branch is one: one for each branch that is deployed from.
/// <https://docs.gitlab.com/user/project/badges/#pipeline-status-badges>
pub fn gitlab_badges(project: &Project<'_>, site: &str) -> Vec<Badge> {
    if gitlab(project).files.is_empty() {
        return Vec::new();
    }
    let badge = |(branch, of): (&str, Vec<&str>)| {
        // Slashes stand in these paths as they are.
        let branch = branch.split('/').map(encoded).collect::<Vec<_>>().join("/");
        Badge {
            of: of.join(", "),
            image: format!("{site}/badges/{branch}/pipeline.svg"),
            link: format!("{site}/-/commits/{branch}"),
        }
    };
    branches(project.config).into_iter().map(badge).collect()
}

/// The branches that are deployed from, each with its environments.
fn branches(config: &Config) -> BTreeMap<&str, Vec<&str>> {
    let mut branches: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, environment) in config.environments.iter().filter(|(_, environment)| !environment.targets.is_empty()) {
        if let Some(branch) = &environment.branch {
            branches.entry(branch).or_default().push(name.as_str());
        }
    }
    branches
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECKED: &str = "[checks.tests]\nrun = \"pytest\"\n";
    const DEPLOYED: &str = "[targets.api.host]\ndeploy_to = \"/srv/shop\"\nservice = { unit = \"shop.service\" }\n\
         [environments.production]\nbranch = \"release/1+(x)\"\nhosts.api = \"deploy@web-1.example.org\"\n";

    fn markdown(tables: &str, badges: fn(&Project<'_>, &str) -> Vec<Badge>) -> Vec<String> {
        let config = Config::parse(&format!("name = \"shop\"\n{tables}")).unwrap();
        let project = Project { config: &config, directory: None };
        badges(&project, "https://git.example.org/shop/app").iter().map(Badge::markdown).collect()
    }

    #[test]
    fn each_branch_that_is_deployed_from_has_a_badge() {
        assert_eq!(
            markdown(&format!("{CHECKED}{DEPLOYED}"), github_badges),
            [
                "[![production](https://git.example.org/shop/app/actions/workflows/cutover-deploy.yml/badge.svg?branch=release%2F1%2B%28x%29)]\
                 (https://git.example.org/shop/app/actions/workflows/cutover-deploy.yml?query=branch%3Arelease%2F1%2B%28x%29)"
            ]
        );
        assert_eq!(
            markdown(&format!("{CHECKED}{DEPLOYED}"), gitlab_badges),
            ["[![production](https://git.example.org/shop/app/badges/release/1%2B%28x%29/pipeline.svg)]\
                 (https://git.example.org/shop/app/-/commits/release/1%2B%28x%29)"]
        );
    }

    #[test]
    fn a_project_that_is_only_judged_has_one_of_its_checks() {
        assert_eq!(
            markdown(CHECKED, github_badges),
            ["[![checks](https://git.example.org/shop/app/actions/workflows/cutover-checks.yml/badge.svg)]\
                 (https://git.example.org/shop/app/actions/workflows/cutover-checks.yml)"]
        );
        assert_eq!(markdown("", github_badges), [""; 0]);
    }
}
