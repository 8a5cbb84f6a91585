//! Nothing is published to a stream that is not the known one.

use runtime::broker::{Broker, Needs, PublishFailure};
use runtime::config::{NatsConfig, Settings};
use runtime::publish::Outgoing;
use runtime::streams::StreamName;
use schemas::subjects::META_RAW;
use tests::{Lab, eventually};
use tokio_util::sync::CancellationToken;

use super::{VISIBLE, WITHIN, lose};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_published_to_a_stream_that_is_not_the_known_one() {
    let lab = Lab::start().await;
    let config = NatsConfig::from_settings(&Settings::from_pairs(lab.settings.clone())).unwrap();
    let needs = Needs { streams: &[StreamName::Raw], best_effort: false };
    let broker = Broker::connect("test", config, needs, CancellationToken::new()).await.unwrap();
    broker.ready().await;
    lose(&lab, META_RAW, true).await;
    eventually("it is noticed", VISIBLE, async || {
        tests::client::holds(broker.foreign(StreamName::Raw).is_some(), || "not yet".to_owned())
    })
    .await;
    let messages = |count: usize| -> Vec<Outgoing> {
        (0..count)
            .map(|n| Outgoing {
                subject: "meta.v1.raw.any.00".to_owned(),
                id: format!("{count}.{n}"),
                headers: async_nats::HeaderMap::new(),
                payload: "{}".into(),
            })
            .collect()
    };
    for count in [1, 2, 40] {
        let mut ends = broker.publish_together(messages(count), WITHIN).await;
        ends.extend(broker.publish_each(messages(count), WITHIN).await);
        let refused =
            |end: &Result<_, PublishFailure>| matches!(end, Err(PublishFailure::OtherEra(_)));
        assert!(ends.iter().all(refused), "{ends:?}");
        let all = broker.publish_all(messages(count), WITHIN).await;
        assert!(matches!(all, Err(PublishFailure::OtherEra(_))), "{all:?}");
    }
    assert_eq!(lab.last_sequence(META_RAW).await, 0);
}
