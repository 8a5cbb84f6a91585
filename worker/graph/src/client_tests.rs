use runtime::config::Settings;
use schemas::Channel;

use super::*;
use crate::host::node;
use facts::accounts::Token;
use facts::accounts::directory::Login;

fn graph(url: &str) -> Graph {
    let settings = Settings::from_pairs([
        ("GRAPH_FACEBOOK_URL", format!("{url}/facebook")),
        ("GRAPH_INSTAGRAM_URL", format!("{url}/instagram/")),
        ("GRAPH_TIMEOUT", "500ms".to_owned()),
        ("META_APP_SECRETS", "main=s3cret".to_owned()),
    ]);
    Graph::new(GraphConfig::from_settings(&settings).unwrap()).unwrap()
}

fn connected(login: Login) -> Connected {
    let account = Account {
        channel: Channel::Instagram,
        id: "17841400000000101".into(),
        login,
        app: Some("main".to_owned()),
        page_id: Some("103000000000301".to_owned()),
        handle: None,
        aliases: Vec::new(),
        name: None,
        auto_reply: None,
        stopped: false,
    };
    Connected::new(account, Token::new("T0KEN"))
}

async fn send(
    graph: &Graph,
    connected: &Connected,
    body: &Value,
    timeout: Duration,
) -> Result<Value, GraphError> {
    let call = Call::new("send", Lane::Reply).within(timeout);
    graph.post(connected, call, &[node(&connected.account), "messages"], &[], body).await
}

#[test]
fn a_path_in_the_hosts_url_is_kept_and_parts_are_encoded() {
    let graph = graph("http://127.0.0.1:9");
    let call = Call::new("send", Lane::Reply);
    assert_eq!(
        graph.url(Host::Facebook, call, &["103", "messages"]).as_str(),
        "http://127.0.0.1:9/facebook/v26.0/103/messages"
    );
    assert_eq!(
        graph.url(Host::Instagram, call, &["a/b?c"]).as_str(),
        "http://127.0.0.1:9/instagram/v26.0/a%2Fb%3Fc"
    );
}

#[test]
fn each_login_has_its_host_and_node() {
    let (instagram, facebook) = (connected(Login::Instagram), connected(Login::Facebook));
    assert_eq!((Host::of(&instagram.account), node(&instagram.account)), (Host::Instagram, "me"));
    assert_eq!(
        (Host::of(&facebook.account), node(&facebook.account)),
        (Host::Facebook, "103000000000301")
    );
}

#[test]
fn wrong_settings_are_named() {
    for (name, value) in
        [("GRAPH_VERSION", "26"), ("GRAPH_TIMEOUT", "0"), ("GRAPH_FACEBOOK_URL", "graph")]
    {
        let error = GraphConfig::from_settings(&Settings::from_pairs([(name, value)]))
            .err()
            .unwrap()
            .to_string();
        assert!(error.starts_with(name), "{error}");
    }
}

#[tokio::test]
async fn a_send_that_found_no_connection_may_be_repeated() {
    // Bound and dropped: nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let graph = graph(&format!("http://127.0.0.1:{port}"));
    let body = serde_json::json!({"recipient": {"id": "5200000000000011"}});
    let error =
        send(&graph, &connected(Login::Facebook), &body, Duration::from_secs(1)).await.unwrap_err();
    assert_eq!((error.class, error.failure), (Class::Retry, Failure::Connect));
    assert!(!error.to_string().contains("127.0.0.1"), "{error}");
}

#[tokio::test]
async fn a_send_that_met_silence_or_a_broken_connection_is_unknown() {
    use tokio::io::AsyncReadExt;
    for (hold, expected) in [(true, Failure::Timeout), (false, Failure::Broken)] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut seen = vec![0; 4096];
            let length = socket.read(&mut seen).await.unwrap();
            seen.truncate(length);
            if hold {
                // Until the other side gives up.
                let _ = socket.read(&mut [0; 1]).await;
            }
            String::from_utf8(seen).unwrap()
        });
        let graph = graph(&format!("http://127.0.0.1:{port}"));
        let body = serde_json::json!({"recipient": {"id": "5200000000000011"}});
        let error = send(&graph, &connected(Login::Instagram), &body, Duration::from_secs(5))
            .await
            .unwrap_err();
        assert_eq!((error.class, error.failure), (Class::Unknown, expected));
        let request = server.await.unwrap();
        assert!(
            request.starts_with("POST /instagram/v26.0/me/messages?appsecret_proof="),
            "{request}"
        );
        assert!(request.to_lowercase().contains("authorization: bearer t0ken"), "{request}");
    }
}

/// The request reaches the connection's own task, and its time is over before that task runs: as in a process that was frozen in between.
#[tokio::test]
async fn a_send_whose_time_is_over_writes_nothing() {
    use tokio::io::AsyncReadExt;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut seen = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(2), socket.read_to_end(&mut seen)).await;
        seen.len()
    });
    let graph = graph(&format!("http://127.0.0.1:{port}"));
    let account = connected(Login::Facebook);
    let body = serde_json::json!({"recipient": {"id": "5200000000000011"}});
    let call = Call::new("send", Lane::Reply)
        .before(runtime::deadline::Moment::now().plus(Duration::ZERO));
    let path = [node(&account.account), "messages"];
    let error = graph.post(&account, call, &path, &[], &body).await.unwrap_err();
    assert_eq!(error.class, Class::Unknown);
    assert_eq!(server.await.unwrap(), 0, "bytes were written");
}
