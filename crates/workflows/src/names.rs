//! Names for jobs: what a CI accepts, and no two the same.

use std::collections::BTreeSet;

/// A name for each: letters, digits, `-` and `_`. Names that would be the same are numbered.
pub(crate) fn job_names<'a>(prefix: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<(&'a str, String)> {
    let mut taken = BTreeSet::new();
    let mut unique = |name: &'a str| {
        let sound: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
        let numbered = (1..).map(|number| match number {
            1 => format!("{prefix}-{sound}"),
            _ => format!("{prefix}-{sound}-{number}"),
        });
        // GitHub does not tell names apart by case.
        let free = numbered.into_iter().find(|job| taken.insert(job.to_ascii_lowercase()));
        (name, free.unwrap_or(sound))
    };
    names.into_iter().map(&mut unique).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_jobs_are_sound_and_all_others() {
        let names = ["a.b", "a_b", "A_B", "1"];
        let jobs: Vec<String> = job_names("deploy", names).into_iter().map(|(_, job)| job).collect();
        assert_eq!(jobs, ["deploy-a_b", "deploy-a_b-2", "deploy-A_B-3", "deploy-1"]);
    }
}
