//! The shell scripts of jobs. None has a text of the config in it: those come in variables.

/// Puts Cutover into the directory `bin` from `CUTOVER_URL`, if it is what `CUTOVER_SHA256` says.
pub(crate) const INSTALL: &str = r#"is_it() { echo "$CUTOVER_SHA256  $1" | sha256sum -c >/dev/null 2>&1; }
mkdir -p "$bin"
if ! is_it "$bin/cutover"; then
  part="$bin/part-$$"
  curl --fail --silent --show-error --location --proto =https,file --proto-redir =https --retry 3 --max-time 300 \
    --output "$part" "$CUTOVER_URL"
  if ! is_it "$part"; then
    echo "Cutover was not installed: what is at $CUTOVER_URL is not what sha256 says, but" >&2
    sha256sum "$part" | cut -c -64 >&2
    rm "$part"
    exit 1
  fi
  chmod +x "$part"
  mv "$part" "$bin/cutover"
fi
"#;

/// Fails where Cutover was to be there and is not.
pub(crate) const FIND: &str = r#"if ! command -v cutover >/dev/null; then
  echo "Cutover is not on this runner: give url and sha256 under [workflows] in cutover.toml," >&2
  echo "and run: cutover workflows" >&2
  exit 1
fi
cutover --version
"#;

/// Fails before anything else where a secret of `CUTOVER_CI_NAMES` has no value, and tells all of these. `CUTOVER_CI_HINT` says where they belong.
pub(crate) const SECRETS: &str = r#"missing=
for name in $CUTOVER_CI_NAMES; do
  [ -n "$(printenv "$name")" ] || missing="$missing $name"
done
if [ -n "$missing" ]; then
  echo "Secrets are missing:$missing"
  echo "$CUTOVER_CI_HINT Nothing was deployed."
  exit 1
fi
"#;

/// Fails where GitHub lets anybody's deployment into `CUTOVER_CI_ENVIRONMENT`.
pub(crate) const APPROVAL: &str = r#"url="$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/environments/$CUTOVER_CI_ENVIRONMENT"
if ! curl --fail --silent --show-error --retry 3 --max-time 60 --header "Authorization: Bearer $GITHUB_TOKEN" \
  --header "Accept: application/vnd.github+json" "$url" |
  jq --exit-status 'any(.protection_rules[]?; .type == "required_reviewers")' >/dev/null; then
  echo "cutover.toml wants an approval for $CUTOVER_CI_ENVIRONMENT, and GitHub asks nobody. Name required reviewers"
  echo "in the repository's settings: Environments, $CUTOVER_CI_ENVIRONMENT. Nothing was deployed."
  exit 1
fi
"#;

/// Runs the checks and keeps their record. Where a deployment follows all are run: one that was left out has not passed.
pub(crate) const CHECK: &str = "cutover check ${CUTOVER_CI_RUN:+--all} --json > \"$CUTOVER_CI_RECORD\"\n";
