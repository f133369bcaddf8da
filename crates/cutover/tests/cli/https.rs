//! A probe over TLS, with a certificate from an authority of one's own.

use crate::sandbox::Sandbox;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

const SERVICE: &str = r#"import http.server, ssl, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"open")
    def log_message(self, *_): pass
http.server.HTTPServer.allow_reuse_address = True
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answer)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2] + "/shop.pem", sys.argv[2] + "/shop.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"#;

/// Makes an authority and a certificate of it for this machine; false where there is nothing to make them with.
fn certify(dir: &Path) -> bool {
    let make = |subject: &str, more: &[&str]| {
        let (key, certificate) = (format!("{subject}.key"), format!("{subject}.pem"));
        let name = format!("/CN={subject}");
        let mut openssl = Command::new("openssl");
        openssl.args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ]);
        openssl.args(["-subj", &name, "-keyout", &key, "-out", &certificate]).args(more).current_dir(dir);
        openssl.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    let shop = ["-CA", "authority.pem", "-CAkey", "authority.key", "-addext", "subjectAltName=IP:127.0.0.1"];
    make("authority", &[]) && make("shop", &[&shop[..], &["-addext", "basicConstraints=critical,CA:FALSE"]].concat())
}

#[test]
fn a_probe_over_tls_believes_whom_the_machine_believes_and_nobody_else() {
    let sandbox = Sandbox::new();
    let dir = sandbox.path().display().to_string();
    if !certify(sandbox.path()) {
        eprintln!("skipped: there is no openssl 3 that makes certificates");
        return;
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    sandbox.write("serve.py", SERVICE);
    let service = format!("service.process.command = [\"python3\", \"serve.py\", \"{port}\", \"{dir}\"]\n");
    let probe = format!("{{ http = {{ url = \"https://127.0.0.1:{port}/\", body = \"open\" }} }}");
    let configure = |within: &str| {
        let verify = format!("verify = {{ within = \"{within}\", probes = [{probe}] }}");
        sandbox.host(&format!("{service}{verify}"), "env = { LEVEL = \"info\" }");
    };

    configure("8s");
    let stranger = sandbox.run(&["deploy", "production"]);
    configure("60s");
    let trusted = sandbox.run_with(&["deploy", "production"], &[("SSL_CERT_FILE", &format!("{dir}/authority.pem"))]);
    sandbox.stop_service();

    assert!(stranger.code == 1 && stranger.told().contains("UnknownIssuer"), "{stranger:?}");
    assert_eq!(trusted.code, 0, "{trusted:?}");
}
