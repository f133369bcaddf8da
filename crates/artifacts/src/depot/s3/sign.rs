//! AWS Signature Version 4 in the `authorization` header.
//!
//! The source is "Authenticating Requests: Using the Authorization Header" of the Amazon S3 API Reference.

use super::super::sha256::{hex, of};
use cutover_core::secret::Secret;
use jiff::Timestamp;
use ring::hmac;

/// Who asks.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The access key's id.
    pub key_id: String,
    /// The secret access key.
    pub secret: Secret,
    /// The token of credentials that are for a while.
    pub token: Option<Secret>,
}

impl Credentials {
    /// The same without spaces and ends of lines around them, which what copies a key through a form likes to add.
    pub(super) fn trimmed(&self) -> Self {
        let trimmed = |secret: &Secret| Secret::new(secret.expose().trim());
        Self {
            key_id: self.key_id.trim().to_owned(),
            secret: trimmed(&self.secret),
            token: self.token.as_ref().map(trimmed),
        }
    }
}

/// What of a request is signed.
pub(super) struct Signed<'a> {
    pub(super) method: &'a str,
    /// The path as it is sent.
    pub(super) path: &'a str,
    /// The query as it is sent: names in order, values encoded by [`cutover_core::percent::encoded`].
    pub(super) query: &'a str,
    /// Names in small letters and in order, and values.
    pub(super) headers: &'a [(&'a str, &'a str)],
    /// SHA-256 of the body.
    pub(super) payload: &'a str,
}

/// The time as it is signed: `20130524T000000Z`.
pub(super) fn moment(now: Timestamp) -> String {
    now.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// The value of the `authorization` header, for a moment that is sent as `x-amz-date`.
pub(super) fn authorization(request: &Signed<'_>, credentials: &Credentials, region: &str, moment: &str) -> Secret {
    let day = &moment[..8];
    let scope = format!("{day}/{region}/s3/aws4_request");
    let names: Vec<&str> = request.headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let headers: String = request.headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
    let Signed { method, path, query, payload, .. } = request;
    let canonical = format!("{method}\n{path}\n{query}\n{headers}\n{names}\n{payload}");
    let to_sign = format!("AWS4-HMAC-SHA256\n{moment}\n{scope}\n{}", of(canonical.as_bytes()));
    let secret = format!("AWS4{}", credentials.secret.expose());
    let key = [day, region, "s3", "aws4_request"].iter().fold(secret.into_bytes(), |key, part| mac(&key, part));
    let signature = hex(&mac(&key, &to_sign));
    let key_id = &credentials.key_id;
    Secret::new(format!("AWS4-HMAC-SHA256 Credential={key_id}/{scope},SignedHeaders={names},Signature={signature}"))
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "examplebucket.s3.amazonaws.com";
    const NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    /// The credentials of AWS's examples, which are nobody's.
    fn example() -> Credentials {
        let secret = Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
        Credentials { key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(), secret, token: None }
    }

    fn signature(path: &str, query: &str, headers: &[(&str, &str)]) -> String {
        let request = Signed { method: "GET", path, query, headers, payload: NOTHING };
        let value = authorization(&request, &example(), "us-east-1", "20130524T000000Z");
        value.expose().rsplit_once("Signature=").unwrap().1.to_owned()
    }

    #[test]
    fn requests_are_signed_as_in_the_examples_of_aws() {
        let (content, date) = (("x-amz-content-sha256", NOTHING), ("x-amz-date", "20130524T000000Z"));
        let object = signature("/test.txt", "", &[("host", HOST), ("range", "bytes=0-9"), content, date]);
        assert_eq!(object, "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
        let list = signature("/", "max-keys=2&prefix=J", &[("host", HOST), content, date]);
        assert_eq!(list, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
    }

    #[test]
    fn a_moment_is_written_as_it_is_signed() {
        assert_eq!(moment("2013-05-24T00:00:00Z".parse().unwrap()), "20130524T000000Z");
    }
}
