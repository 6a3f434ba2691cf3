//! Who may not read or write the emulators, over real sockets: a web page in the user's browser, a name that leads to this
//! machine, and whoever has no key. Beside each stands the same request from us, which is carried out.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use embedded::Embedded;

/// Sends a request by hand, with these headers and no others, and gives status and body.
fn send(url: &str, request: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    let address = url.trim_start_matches("http://");
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut text = format!("{request} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    if !headers.iter().any(|(name, _)| *name == "host") {
        text.push_str(&format!("host: {address}\r\n"));
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    socket.write_all(format!("{text}\r\n{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(!head.to_lowercase().contains("access-control"), "{head}");
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// Asks the table server, signed with this key.
fn ask(embedded: &Embedded, operation: &str, key: &str, more: &[(&str, &str)], body: &str) -> (u16, String) {
    let target = format!("DynamoDB_20120810.{operation}");
    let credential = format!(
        "AWS4-HMAC-SHA256 Credential={key}/20261121/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=00"
    );
    let mut headers =
        vec![("content-type", "application/x-amz-json-1.0"), ("x-amz-target", &target), ("authorization", &credential)];
    headers.extend_from_slice(more);
    send(&embedded.dynamodb_url, "POST /", &headers, body)
}

const TABLE: &str = r#"{"TableName":"calls","BillingMode":"PAY_PER_REQUEST",
    "KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}],
    "AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"}]}"#;

fn put(text: &str) -> String {
    format!(r#"{{"TableName":"calls","Item":{{"pk":{{"S":"{text}"}}}}}}"#)
}

/// All that is in the table.
fn content(embedded: &Embedded) -> String {
    let (status, body) = ask(embedded, "Scan", &embedded.access_key, &[], r#"{"TableName":"calls"}"#);
    assert_eq!(status, 200, "{body}");
    body
}

fn with_table() -> Embedded {
    let embedded = Embedded::in_memory().unwrap();
    let (status, body) = ask(&embedded, "CreateTable", &embedded.access_key, &[], TABLE);
    assert_eq!(status, 200, "{body}");
    let (status, body) = ask(&embedded, "PutItem", &embedded.access_key, &[], &put("ours"));
    assert_eq!(status, 200, "{body}");
    embedded
}

#[test]
fn a_web_page_neither_reads_nor_changes_the_table_even_with_the_key() {
    let embedded = with_table();
    let key = &embedded.access_key;
    for from in [("origin", "https://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")] {
        let (status, _) = ask(&embedded, "PutItem", key, &[from], &put("theirs"));
        assert_eq!(status, 403, "{from:?}");
        let (status, body) = ask(&embedded, "Scan", key, &[from], r#"{"TableName":"calls"}"#);
        assert_eq!(status, 403, "{from:?}");
        assert!(!body.contains("ours"), "{body}");
        // What a browser asks before it sends the request itself.
        let before =
            [from, ("access-control-request-method", "POST"), ("access-control-request-headers", "x-amz-target")];
        assert_eq!(send(&embedded.dynamodb_url, "OPTIONS /", &before, "").0, 403);
    }
    let content = content(&embedded);
    assert!(content.contains("ours") && !content.contains("theirs"), "{content}");
}

#[test]
fn a_name_that_was_pointed_at_this_machine_opens_nothing() {
    let embedded = with_table();
    let (status, _) = ask(&embedded, "PutItem", &embedded.access_key, &[("host", "evil.example")], &put("theirs"));
    assert_eq!(status, 403);
    assert_eq!(send(&embedded.s3_url, "GET /", &[("host", "evil.example")], "").0, 403);
    assert!(!content(&embedded).contains("theirs"));
}

#[test]
fn only_this_starts_key_opens_the_table() {
    let (embedded, another) = (with_table(), Embedded::in_memory().unwrap());
    let almost = format!("{}0", embedded.access_key);
    for key in ["test", "", &another.access_key, &embedded.access_key[1..], &almost] {
        let (status, body) = ask(&embedded, "PutItem", key, &[], &put("theirs"));
        assert!(status == 400 && body.contains("UnrecognizedClientException"), "{status} {body}");
    }
    let target = [("x-amz-target", "DynamoDB_20120810.ListTables")];
    let (status, body) = send(&embedded.dynamodb_url, "POST /", &target, "{}");
    assert!(status == 400 && body.contains("MissingAuthenticationTokenException"), "{status} {body}");
    assert_eq!(send(&embedded.dynamodb_url, "GET /", &[], "").0, 405);
    assert!(!content(&embedded).contains("theirs"));
}

#[tokio::test]
async fn objects_are_written_and_read_by_signed_requests_from_no_browser() {
    let embedded = Embedded::in_memory().unwrap();
    let s3 = objects(&embedded, embedded.secret_key.expose());
    s3.create_bucket().bucket("calls").send().await.unwrap();
    let for_a_minute = || PresigningConfig::expires_in(Duration::from_secs(60)).unwrap();
    let writing = s3.put_object().bucket("calls").key("rec").presigned(for_a_minute()).await.unwrap();
    let reading = s3.get_object().bucket("calls").key("rec").presigned(for_a_minute()).await.unwrap();
    let forged = objects(&embedded, "wrong").put_object().bucket("calls").key("rec");
    let forged = forged.presigned(for_a_minute()).await.unwrap();

    let carry = |request: &PresignedRequest, more: &[(&str, &str)], body: &str| {
        let line = format!("{} {}", request.method(), request.uri().trim_start_matches(&embedded.s3_url));
        let mut headers: Vec<_> = request.headers().filter(|(name, _)| *name != "content-length").collect();
        headers.extend_from_slice(more);
        send(&embedded.s3_url, &line, &headers, body)
    };
    assert_eq!(carry(&writing, &[("origin", "https://evil.example")], "theirs").0, 403);
    assert_eq!(carry(&forged, &[], "theirs").0, 403);
    assert_eq!(send(&embedded.s3_url, "PUT /calls/rec", &[], "theirs").0, 403);
    assert_eq!(carry(&reading, &[], "").0, 404);

    assert_eq!(carry(&writing, &[], "ours").0, 200);
    let (status, body) = carry(&reading, &[("origin", "null")], "");
    assert!(status == 403 && !body.contains("ours"), "{status} {body}");
    assert_eq!(send(&embedded.s3_url, "GET /calls/rec", &[], "").0, 403);
    let (status, body) = carry(&reading, &[], "");
    assert!(status == 200 && body.contains("ours"), "{status} {body}");
}

fn objects(embedded: &Embedded, secret_key: &str) -> aws_sdk_s3::Client {
    let keys = Credentials::new(&embedded.access_key, secret_key, None, None, "test");
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(&embedded.s3_url)
        .force_path_style(true)
        .credentials_provider(keys);
    aws_sdk_s3::Client::from_conf(config.build())
}
