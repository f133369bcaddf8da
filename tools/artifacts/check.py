"""Has cutover share artifacts by a service that verifies signatures, and reads back what is there."""

import hashlib
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request

import boto3
from google.protobuf import json_format
from in_toto_attestation.v1.statement import Statement
from in_toto_attestation.v1 import statement_pb2

CUTOVER, ENDPOINT, WORK = sys.argv[1:]
BUCKET, PREFIX, REGION = "shop-artifacts", "cut/over", "us-east-1"
ENVIRONMENT = {
    "PATH": os.environ["PATH"], "HOME": WORK, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_{what}": "ada@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}
passed = 0


def expect(what, is_so, told=""):
    global passed
    if not is_so:
        sys.exit(f"not so: {what}\n{told}")
    passed += 1
    print(f"ok: {what}")


def run(*args, home="home", **variables):
    """Runs a program in the repository, on a machine of its own."""
    environment = {**ENVIRONMENT, "CUTOVER_HOME": f"{WORK}/{home}", **variables}
    return subprocess.run(args, cwd=f"{WORK}/repo", env=environment, capture_output=True, text=True)


def client(service, **keys):
    return boto3.client(service, endpoint_url=ENDPOINT, region_name=REGION, **keys)


def wait_for_server():
    for _ in range(300):
        try:
            return urllib.request.urlopen(f"{ENDPOINT}/moto-api/data.json")
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    sys.exit("the server did not begin")


def make_user():
    """Makes a bucket and a user, and has everything verified from then on."""
    anybody = {"aws_access_key_id": "x", "aws_secret_access_key": "x"}
    client("s3", **anybody).create_bucket(Bucket=BUCKET)
    iam = client("iam", **anybody)
    iam.create_user(UserName="builds")
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*", "sts:*"], "Resource": "*"}]}
    iam.put_user_policy(UserName="builds", PolicyName="builds", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName="builds")["AccessKey"]
    plain = {"Content-Type": "text/plain"}
    urllib.request.urlopen(urllib.request.Request(f"{ENDPOINT}/moto-api/reset-auth", b"0", plain, method="POST"))
    return key["AccessKeyId"], key["SecretAccessKey"]


def make_repository():
    os.mkdir(f"{WORK}/repo")
    run("git", "init", "--quiet", "--initial-branch=main")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{WORK}/builds"], check=True)
    with open(f"{WORK}/builds.pub") as public, open(f"{WORK}/repo/allowed_signers", "w") as signers:
        signers.write("builds@example.org " + public.read())
    with open(f"{WORK}/repo/app.py", "w") as file:
        file.write("print('v1')\n" * 1000)
    with open(f"{WORK}/repo/cutover.toml", "w") as file:
        file.write(f"""name = "shop"
[artifact]
signers = "allowed_signers"
signing_key = "../builds"
[artifact.store.s3]
bucket = "{BUCKET}"
endpoint = "{ENDPOINT}"
prefix = "{PREFIX}"
[targets.api.host]
deploy_to = "{WORK}/srv"
[checks.tests]
run = "true"
[environments.production]
required_checks = "tests"
hosts.api = "localhost"
""")
    run("git", "add", "--all")
    run("git", "commit", "--quiet", "--message", "Sell things")


def check_statement(text, sha256, id, commit):
    """Has in-toto's own library judge a statement."""
    parsed = json_format.Parse(text, statement_pb2.Statement())
    Statement.copy_from_pb(parsed).validate()
    expect("in-toto takes the statement for one", parsed.type == "https://in-toto.io/Statement/v1")
    expect("its first subject is the file", dict(parsed.subject[0].digest) == {"sha256": sha256})
    expect("its second subject is the artifact", dict(parsed.subject[1].digest) == {"blake3": id})
    predicate = json_format.MessageToDict(parsed.predicate)
    dependency = predicate["buildDefinition"]["resolvedDependencies"][0]
    expect("it comes from the commit", dependency["digest"] == {"gitCommit": commit})
    checks = predicate["runDetails"]["byproducts"][0]["annotations"]
    expect("it says what checks said", checks["tests"]["conclusion"] == "success")
    try:
        from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
        json_format.Parse(json.dumps(predicate), provenance_pb2.Provenance())
        expect("SLSA's own description takes the predicate", True)
    except ImportError:
        print("skipped: SLSA's description of the predicate is not in this version of in-toto-attestation")


def check_signature(folder, statement, signature):
    for name, content in (("statement", statement), ("signature", signature)):
        with open(f"{folder}/{name}", "wb") as file:
            file.write(content)
    verify = ["ssh-keygen", "-Y", "verify", "-f", f"{WORK}/repo/allowed_signers", "-I", "builds@example.org"]
    with open(f"{folder}/statement", "rb") as file:
        done = subprocess.run([*verify, "-n", "cutover-provenance", "-s", f"{folder}/signature"], stdin=file, capture_output=True)
    expect("ssh-keygen verifies its signature", done.returncode == 0, done.stdout + done.stderr)


def main():
    wait_for_server()
    key_id, secret = make_user()
    make_repository()
    keys = {"AWS_ACCESS_KEY_ID": key_id, "AWS_SECRET_ACCESS_KEY": secret}
    cutover = lambda *args, **more: run(CUTOVER, *args, **{**keys, **more})
    s3 = client("s3", aws_access_key_id=key_id, aws_secret_access_key=secret)
    commit = run("git", "rev-parse", "HEAD").stdout.strip()

    expect("checks run", cutover("check").returncode == 0)
    built = cutover("build", "--json")
    expect("a build is shared", built.returncode == 0, built.stderr)
    told = json.loads(built.stdout)
    id, sha256 = told["artifact"]["id"], told["shared"]["sha256"]
    stem = f"{PREFIX}/shop/artifacts/{id}/{sha256}"
    read = lambda name: s3.get_object(Bucket=BUCKET, Key=name)["Body"].read()
    file = read(f"{stem}.cutover")
    expect("boto3 reads the file, and its SHA-256 is what was told", hashlib.sha256(file).hexdigest() == sha256)
    vouched = json.loads(read(f"{stem}.provenance.json"))
    check_statement(vouched["statement"], sha256, id, commit)
    check_signature(WORK, vouched["statement"].encode(), vouched["signature"].encode())

    wrong = cutover("artifact", "list", AWS_SECRET_ACCESS_KEY="wrong" + secret)
    expect("a wrong key is refused, and said so", wrong.returncode == 1 and "SignatureDoesNotMatch" in wrong.stderr, wrong.stderr)
    expect("no key is shown", secret not in wrong.stderr)
    session = client("sts", aws_access_key_id=key_id, aws_secret_access_key=secret).get_session_token()["Credentials"]
    temporary = cutover("artifact", "list", AWS_ACCESS_KEY_ID=session["AccessKeyId"],
                        AWS_SECRET_ACCESS_KEY=session["SecretAccessKey"], AWS_SESSION_TOKEN=session["SessionToken"])
    # Moto knows nothing of such keys' rights; that it gets as far as asking for them means that the signature was right.
    fits = temporary.returncode == 0 or "SignatureDoesNotMatch" not in temporary.stderr
    expect("credentials that are for a while are signed as they must be", fits, temporary.stderr)

    for number in range(1100):
        name = f"{PREFIX}/shop/artifacts/{number:064x}/{'0' * 64}.cutover"
        s3.put_object(Bucket=BUCKET, Key=name, Body=b"")
    listed = cutover("artifact", "list", "--json", home="other")
    count = json.loads(listed.stdout)["count"]
    expect("an artifact is found behind a thousand other names", count == 1, listed.stderr)
    deployed = cutover("deploy", "production", "--commit", commit, home="other")
    expect("another machine deploys it: its checks and its signature count", deployed.returncode == 0, deployed.stderr)
    expect("it was taken from the store", "took artifact" in deployed.stderr, deployed.stderr)
    notes = s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{PREFIX}/shop/deployed/production/")["Contents"]
    expect("the store knows what is live", notes[0]["Key"].endswith(id))
    pruned = cutover("artifact", "prune", "--json")
    told = json.loads(pruned.stdout)
    expect("pruning leaves what is fresh", (told["kept_count"], told["leftover_count"]) == (1, 0), pruned.stdout)

    s3.put_object(Bucket=BUCKET, Key=f"{stem}.cutover", Body=file[:-1])
    cut = cutover("deploy", "production", "--artifact", id, home="third")
    expect("a file that was cut is refused", cut.returncode == 1 and "is damaged" in cut.stderr, cut.stderr)
    pushed = cutover("artifact", "push", "--again", id)
    expect("and is put there anew", pushed.returncode == 0, pushed.stderr)
    again = cutover("artifact", "pull", id, "--output", f"{WORK}/shop.cutover", home="third")
    expect("and taken", again.returncode == 0 and os.path.exists(f"{WORK}/shop.cutover.intoto.json.sig"), again.stderr)
    print(f"{passed} passed, 0 failed")


main()
