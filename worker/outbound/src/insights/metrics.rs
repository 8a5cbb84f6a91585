//! ◆ Pure: the metrics that Meta has, per kind, with the dates from which others are refused (docs/meta-platform-2.md 18; as of 2026-11-30).
//!
//! One wrong metric fails a whole request, so what is known to be wrong is never asked for. The lists in Meta's own schema name some that
//! ended: they are no source.

use schemas::command::InsightsData;
use schemas::{Channel, Login};
use serde::Serialize;

/// What figures are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Account,
    Media,
    Story,
}

/// How a metric is asked for. Metrics with the same way go into one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) period: Option<&'static str>,
    pub(super) metric_type: Option<&'static str>,
    pub(super) breakdown: Option<&'static str>,
    pub(super) timeframe: Option<&'static str>,
}

/// A metric that Meta has.
struct Metric {
    name: &'static str,
    way: Way,
    /// Facebook Login alone has it.
    facebook_only: bool,
}

/// A metric that Meta had.
struct Retired {
    name: &'static str,
    scopes: &'static [Scope],
    since: &'static str,
    successor: &'static str,
}

/// Account figures of a day. Few followers: those about followers are empty.
const TOTAL: Way =
    Way { period: Some("day"), metric_type: Some("total_value"), breakdown: None, timeframe: None };
/// Without this breakdown the answer has no value.
const FOLLOWS: Way = Way { breakdown: Some("follow_type"), ..TOTAL };
/// Other timeframes ended in 2024-08.
const DEMOGRAPHICS: Way = Way {
    period: Some("lifetime"),
    metric_type: Some("total_value"),
    breakdown: Some("country"),
    timeframe: Some("this_month"),
};
const SERIES: Way =
    Way { period: Some("day"), metric_type: None, breakdown: None, timeframe: None };
const LIFETIME: Way =
    Way { period: Some("lifetime"), metric_type: None, breakdown: None, timeframe: None };
/// Of media and stories: the period is always lifetime, and not asked for.
const PLAIN: Way = Way { period: None, metric_type: None, breakdown: None, timeframe: None };
const ACTIONS: Way = Way { breakdown: Some("action_type"), ..PLAIN };
const NAVIGATION: Way = Way { breakdown: Some("story_navigation_action_type"), ..PLAIN };

const fn metric(name: &'static str, way: Way) -> Metric {
    Metric { name, way, facebook_only: false }
}

const fn with_ads(name: &'static str) -> Metric {
    Metric { name, way: PLAIN, facebook_only: true }
}

/// `profile_views` and `website_clicks` left the table on 2025-01-08 and were answered in 2026-09 all the same.
const ACCOUNT: [Metric; 19] = [
    metric("reach", TOTAL),
    metric("views", TOTAL),
    metric("accounts_engaged", TOTAL),
    metric("total_interactions", TOTAL),
    metric("likes", TOTAL),
    metric("comments", TOTAL),
    metric("saves", TOTAL),
    metric("shares", TOTAL),
    metric("reposts", TOTAL),
    metric("replies", TOTAL),
    metric("follows_and_unfollows", FOLLOWS),
    metric("profile_links_taps", TOTAL),
    metric("follower_demographics", DEMOGRAPHICS),
    metric("engaged_audience_demographics", DEMOGRAPHICS),
    metric("reached_audience_demographics", DEMOGRAPHICS),
    metric("follower_count", SERIES),
    metric("online_followers", LIFETIME),
    metric("profile_views", TOTAL),
    metric("website_clicks", TOTAL),
];

/// Of feed posts and reels together: which of the two a media is, only Meta knows here, and it refuses what does not fit.
const MEDIA: [Metric; 19] = [
    metric("views", PLAIN),
    metric("reach", PLAIN),
    metric("shares", PLAIN),
    metric("total_interactions", PLAIN),
    metric("reposts", PLAIN),
    metric("likes", PLAIN),
    metric("comments", PLAIN),
    metric("saved", PLAIN),
    metric("follows", PLAIN),
    metric("profile_visits", PLAIN),
    metric("profile_activity", ACTIONS),
    metric("ig_reels_avg_watch_time", PLAIN),
    metric("ig_reels_video_view_total_time", PLAIN),
    metric("reels_skip_rate", PLAIN),
    metric("crossposted_views", PLAIN),
    metric("facebook_views", PLAIN),
    with_ads("total_likes"),
    with_ads("total_comments"),
    with_ads("total_views"),
];

const STORY: [Metric; 12] = [
    metric("views", PLAIN),
    metric("reach", PLAIN),
    metric("shares", PLAIN),
    metric("total_interactions", PLAIN),
    metric("reposts", PLAIN),
    metric("follows", PLAIN),
    metric("profile_visits", PLAIN),
    metric("profile_activity", ACTIONS),
    metric("navigation", NAVIGATION),
    metric("replies", PLAIN),
    metric("facebook_views", PLAIN),
    with_ads("total_views"),
];

const ALL: &[Scope] = &[Scope::Account, Scope::Media, Scope::Story];
const OBJECTS: &[Scope] = &[Scope::Media, Scope::Story];

const fn retired(
    name: &'static str,
    scopes: &'static [Scope],
    since: &'static str,
    successor: &'static str,
) -> Retired {
    Retired { name, scopes, since, successor }
}

const RETIRED: [Retired; 17] = [
    retired("impressions", ALL, "2025-04-21", "views"),
    retired("plays", OBJECTS, "2025-04-21", "views"),
    retired("clips_replays_count", OBJECTS, "2025-04-21", "views"),
    retired("ig_reels_aggregated_all_plays_count", OBJECTS, "2025-04-21", "views"),
    retired("video_views", OBJECTS, "2025-01-08", "views"),
    retired("email_contacts", &[Scope::Account], "2025-01-08", "profile_links_taps"),
    retired("phone_call_clicks", &[Scope::Account], "2025-01-08", "profile_links_taps"),
    retired("text_message_clicks", &[Scope::Account], "2025-01-08", "profile_links_taps"),
    retired("get_directions_clicks", &[Scope::Account], "2025-01-08", "profile_links_taps"),
    retired("engagement", OBJECTS, "2023-12-01", "total_interactions"),
    retired("exits", &[Scope::Story], "2023-12-01", "navigation"),
    retired("taps_forward", &[Scope::Story], "2023-12-01", "navigation"),
    retired("taps_back", &[Scope::Story], "2023-12-01", "navigation"),
    retired("carousel_album_engagement", &[Scope::Media], "2023-12-01", "total_interactions"),
    retired("carousel_album_impressions", &[Scope::Media], "2023-12-01", "views"),
    retired("carousel_album_reach", &[Scope::Media], "2023-12-01", "reach"),
    retired("carousel_album_saved", &[Scope::Media], "2023-12-01", "saved"),
];

/// A metric that is not captured, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Refused {
    pub(super) metric: String,
    pub(super) reason: String,
    /// What to ask for in its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) successor: Option<&'static str>,
    /// Since when Meta refuses it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) since: Option<&'static str>,
    /// Meta's `code`, where Meta was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<i64>,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) way: Way,
    pub(super) metrics: Vec<String>,
}

/// What is asked of Meta, and what is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Asks {
    pub(super) asks: Vec<Ask>,
    pub(super) refused: Vec<Refused>,
}

impl Scope {
    pub(super) fn of(data: &InsightsData) -> Option<Self> {
        Some(match data.scope.as_str() {
            "account" => Self::Account,
            "media" => Self::Media,
            "story" => Self::Story,
            _ => return None,
        })
    }

    fn metrics(self) -> &'static [Metric] {
        match self {
            Self::Account => &ACCOUNT,
            Self::Media => &MEDIA,
            Self::Story => &STORY,
        }
    }
}

impl Ask {
    /// The same way, for one metric.
    pub(super) fn single(&self, metric: &str) -> Self {
        Self { way: self.way, metrics: vec![metric.to_owned()] }
    }

    /// The parameters of the request.
    pub(super) fn query(&self) -> Vec<(&'static str, String)> {
        let Way { period, metric_type, breakdown, timeframe } = self.way;
        let more = [
            ("period", period),
            ("metric_type", metric_type),
            ("breakdown", breakdown),
            ("timeframe", timeframe),
        ];
        let more = more.into_iter().filter_map(|(name, value)| Some((name, value?.to_owned())));
        std::iter::once(("metric", self.metrics.join(","))).chain(more).collect()
    }
}

/// Why figures of the account cannot be read at all.
pub(super) fn unsupported(channel: Channel) -> Option<&'static str> {
    (channel != Channel::Instagram)
        .then_some("figures are read of Instagram accounts only: ask for the Instagram account")
}

/// Sorts what is asked for into requests.
pub(super) fn asks(data: &InsightsData, scope: Scope, login: Login) -> Asks {
    let mut asks = Asks::default();
    let mut seen = std::collections::BTreeSet::new();
    for name in data.metrics.iter().filter(|name| seen.insert(name.as_str())) {
        match way(name, scope, login, data.period.as_deref()) {
            Err(refused) => asks.refused.push(refused),
            Ok(way) => match asks.asks.iter_mut().find(|ask| ask.way == way) {
                Some(ask) => ask.metrics.push((*name).to_owned()),
                None => asks.asks.push(Ask { way, metrics: vec![(*name).to_owned()] }),
            },
        }
    }
    asks
}

fn way(name: &str, scope: Scope, login: Login, period: Option<&str>) -> Result<Way, Refused> {
    let refused =
        |reason: String| Refused { metric: name.to_owned(), reason, ..Refused::default() };
    if let Some(old) = RETIRED.iter().find(|old| old.name == name && old.scopes.contains(&scope)) {
        let reason = format!("Meta refuses it since {}: ask for {}", old.since, old.successor);
        let (successor, since) = (Some(old.successor), Some(old.since));
        return Err(Refused { successor, since, ..refused(reason) });
    }
    let Some(metric) = scope.metrics().iter().find(|metric| metric.name == name) else {
        return Err(refused("Meta has no such metric of this scope".to_owned()));
    };
    if metric.facebook_only && login != Login::Facebook {
        return Err(refused("only for accounts connected by Facebook Login".to_owned()));
    }
    let own = metric.way.period.unwrap_or("lifetime");
    match period {
        Some(period) if period != own => {
            Err(refused(format!("its period is {own}: leave `period` out")))
        }
        _ => Ok(metric.way),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plan(scope: &str, metrics: &[&str], login: Login, period: Option<&str>) -> Asks {
        let id = (scope != "account").then_some("1");
        let data: InsightsData = serde_json::from_value(
            json!({"scope": scope, "id": id, "metrics": metrics, "period": period}),
        )
        .unwrap();
        asks(&data, Scope::of(&data).unwrap(), login)
    }

    #[test]
    fn a_retired_metric_is_refused_by_name_and_the_rest_is_asked_for() {
        let plan =
            plan("media", &["impressions", "reach", "likes", "reach"], Login::Facebook, None);
        assert_eq!(plan.asks, [Ask { way: PLAIN, metrics: vec!["reach".into(), "likes".into()] }]);
        assert_eq!(plan.refused.len(), 1);
        let refused = &plan.refused[0];
        assert_eq!(
            (refused.metric.as_str(), refused.successor, refused.since),
            ("impressions", Some("views"), Some("2025-04-21"))
        );
    }

    #[test]
    fn metrics_that_are_asked_for_in_one_way_share_a_request() {
        let names =
            ["reach", "views", "follows_and_unfollows", "follower_demographics", "follower_count"];
        let plan = plan("account", &names, Login::Instagram, None);
        let queries: Vec<_> = plan.asks.iter().map(Ask::query).collect();
        assert_eq!(queries.len(), 4);
        assert_eq!(
            queries[0],
            [
                ("metric", "reach,views".to_owned()),
                ("period", "day".to_owned()),
                ("metric_type", "total_value".to_owned())
            ]
        );
        assert!(queries[1].contains(&("breakdown", "follow_type".to_owned())));
        assert!(queries[2].contains(&("timeframe", "this_month".to_owned())));
    }

    #[test]
    fn what_the_scope_the_login_or_the_period_does_not_have_is_refused() {
        let reason = |plan: Asks| plan.refused[0].reason.clone();
        let unknown = plan("account", &["saved"], Login::Facebook, None);
        assert!(reason(unknown).contains("no such metric"));
        let by_login = plan("media", &["total_likes"], Login::Instagram, None);
        assert!(reason(by_login).contains("Facebook Login"));
        assert_eq!(plan("media", &["total_likes"], Login::Facebook, None).asks.len(), 1);
        let by_period = plan("account", &["reach"], Login::Facebook, Some("lifetime"));
        assert!(reason(by_period).contains("day"));
        assert_eq!(plan("story", &["views"], Login::Facebook, Some("lifetime")).asks.len(), 1);
    }

    #[test]
    fn no_metric_is_both_there_and_retired_and_each_successor_is_there() {
        for old in &RETIRED {
            for scope in old.scopes {
                let has = |name: &str| scope.metrics().iter().any(|metric| metric.name == name);
                assert!(!has(old.name), "{}", old.name);
                assert!(has(old.successor), "{}", old.successor);
            }
        }
    }
}
