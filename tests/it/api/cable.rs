//! A cable between a role and its server, to be cut by a test.

use tests::cable::Cable;

/// A cable to the server of a URL, and the URL through it.
pub(super) async fn through_cable(url: &str) -> (Cable, String) {
    let mut url = url::Url::parse(url).unwrap();
    let server = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap()).parse().unwrap();
    let cable = Cable::to(server).await;
    url.set_port(Some(cable.address().port())).unwrap();
    (cable, url.to_string())
}
