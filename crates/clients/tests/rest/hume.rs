//! The Hume client against a service that misbehaves.

use clients::{ChatHistory, Hume, HumeAccess, NoAnswer};

use crate::service::{Reply, Service};

const PAGE: &str = r#"{"page_number":0,"page_size":1,"total_pages":0,"configs_page":[]}"#;
const KEY: &str = "not-to-be-seen-anywhere";

fn client(base: clients::BaseUrl) -> Hume {
    Hume::new(base, KEY.to_owned().into()).unwrap()
}

#[tokio::test]
async fn a_good_key_is_told_from_every_kind_of_bad_answer() {
    let (service, base) = Service::start([
        Reply::With(200, PAGE),
        Reply::With(401, "no"),
        Reply::With(403, "no"),
        Reply::With(404, "{}"),
        Reply::With(410, "gone"),
        Reply::With(200, "<html>a parked domain</html>"),
        Reply::WithHeader(301, "location", "/elsewhere"),
    ])
    .await;
    let hume = client(base);
    for expected in [
        HumeAccess::Granted,
        HumeAccess::BadKey,
        HumeAccess::Forbidden,
        HumeAccess::Gone,
        HumeAccess::Gone,
        HumeAccess::Strange { status: 200 },
        HumeAccess::Strange { status: 301 },
    ] {
        assert_eq!(hume.check().await, expected);
    }
    let asked = service.asked();
    assert_eq!(asked.len(), 7, "none of these is worth another try");
    assert_eq!((asked[0].line.as_str(), asked[0].credential.as_str()), ("GET /v0/evi/configs?page_size=1", KEY));
}

#[tokio::test]
async fn a_busy_service_is_asked_again_and_a_failing_one_is_given_up() {
    let (service, base) = Service::start([Reply::WithHeader(429, "retry-after", "0"), Reply::With(200, PAGE)]).await;
    assert_eq!(client(base).check().await, HumeAccess::Granted);
    assert_eq!(service.asked().len(), 2);
    let (service, base) = Service::start((0..9).map(|_| Reply::With(503, ""))).await;
    assert_eq!(client(base).check().await, HumeAccess::Failing { status: 503 });
    assert_eq!(service.asked().len(), 4);
}

#[tokio::test]
async fn a_configuration_is_looked_up_by_its_id_and_nothing_else() {
    let (service, base) = Service::start([Reply::With(200, PAGE), Reply::With(404, "{}")]).await;
    let hume = client(base);
    assert_eq!(hume.check_config("1b60e1a0-cc59-424a-8d2c-189d354db3f3").await, HumeAccess::Granted);
    assert_eq!(hume.check_config("1b60e1a0-cc59-424a-8d2c-189d354db3f4").await, HumeAccess::Gone);
    for odd in ["", "../chats", "a/b", "a?b"] {
        assert_eq!(hume.check_config(odd).await, HumeAccess::Gone);
    }
    assert_eq!(service.asked().len(), 2);
    assert!(service.asked()[0].line.contains("/v0/evi/configs/1b60e1a0-cc59-424a-8d2c-189d354db3f3?"));
}

#[tokio::test]
async fn nobody_there_is_said_as_such_and_the_key_does_not_print() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);
    let hume = client(base);
    assert_eq!(hume.check().await, HumeAccess::NoAnswer(NoAnswer::Connect));
    assert!(!format!("{hume:?}").contains(KEY));
    let (service, base) = Service::start([]).await;
    let unusable = Hume::new(base, "a key\nwith a line end".to_owned().into()).unwrap();
    assert_eq!(unusable.check().await, HumeAccess::BadKey);
    assert_eq!(service.asked().len(), 0);
}

#[tokio::test]
async fn a_history_is_read_to_its_last_page_through_a_bad_moment() {
    const FIRST: &str = r#"{"id":"g","page_number":0,"page_size":50,"total_pages":2,"pagination_direction":"ASC","events_page":[
        {"id":"e1","chat_id":"c","timestamp":1790000000123,"role":"USER","type":"USER_MESSAGE","message_text":"Hi","emotion_features":""}]}"#;
    const SECOND: &str = r#"{"id":"g","page_number":1,"page_size":50,"total_pages":2,"pagination_direction":"ASC","events_page":[
        {"id":"e2","chat_id":"c","timestamp":1790000001,"role":"AGENT","type":"AGENT_MESSAGE","message_text":"Hello"}]}"#;
    let replies = [
        Reply::WithHeader(429, "retry-after", "0"),
        Reply::With(200, FIRST),
        Reply::With(502, ""),
        Reply::With(200, SECOND),
    ];
    let (service, base) = Service::start(replies).await;
    let events = client(base).events(&ChatHistory::Group("g-1".into())).await.unwrap();
    assert_eq!(events.iter().map(|event| event.id.as_str()).collect::<Vec<_>>(), ["e1", "e2"]);
    assert_eq!(events[1].timestamp.0, 1_790_000_001_000, "seconds or milliseconds, as they come");
    let asked = service.asked();
    assert_eq!(asked[3].line, "GET /v0/evi/chat_groups/g-1/events?page_number=1&page_size=50&ascending_order=true");
}

#[tokio::test]
async fn a_history_that_cannot_be_had_says_why() {
    let (service, base) = Service::start([
        Reply::With(404, "{}"),
        Reply::With(200, "[]"),
        Reply::With(401, "no"),
        Reply::With(200, "<html>"),
    ])
    .await;
    let hume = client(base);
    let chat = ChatHistory::Chat("c-1".into());
    for expected in
        [HumeAccess::Gone, HumeAccess::Strange { status: 200 }, HumeAccess::BadKey, HumeAccess::Strange { status: 200 }]
    {
        assert_eq!(hume.events(&chat).await, Err(expected));
    }
    assert_eq!(hume.events(&ChatHistory::Group("../configs".into())).await, Err(HumeAccess::Gone));
    assert_eq!(service.asked().len(), 4);
    assert!(service.asked()[0].line.starts_with("GET /v0/evi/chats/c-1?page_number=0"));
}
