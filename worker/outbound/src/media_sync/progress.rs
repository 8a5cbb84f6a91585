//! ◆ Pure: how far the reading of media and comments has come.

use std::collections::VecDeque;

use graph::{CommentPage, FoundComment, FoundMedia};
use serde::{Deserialize, Serialize};

/// Media or posts per call, with their comments.
const MEDIA: u32 = 25;
/// Comments per call.
const COMMENTS: u32 = 50;
/// Pages that wait at most; what is beyond them is not read, and said.
const OPEN_MAX: usize = 200;

/// Comments that are to be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Page {
    /// The media or post they stand under.
    pub(super) media: String,
    /// The comment they answer; those at top level where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) parent: Option<String>,
    /// The cursor of the page; the first one where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) after: Option<String>,
}

/// How far it has come; at its end, its result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// Media or posts listed.
    pub(super) media: u64,
    /// Comments read, answers included.
    pub(super) comments: u64,
    /// Of these: nobody is named. Meta names people to those who have the permission.
    pub(super) without_author: u64,
    /// Comments without a time: not published.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) failed: u64,
    /// The permission to read comments of people is missing: posts were listed without them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) posts_only: bool,
    /// There are more comments than were read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) more: bool,
    /// The list of media was read, or is not asked for.
    #[serde(default)]
    pub(super) listed: bool,
    /// What is still to be read.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    pub(super) open: VecDeque<Page>,
    /// How often Graph asked for smaller pages.
    #[serde(default, skip_serializing_if = "is_zero_u32")]
    pub(super) halved: u32,
    /// Pages that failed in a row.
    #[serde(default, skip_serializing_if = "is_zero_u32")]
    pub(super) tries: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde calls it
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde calls it
const fn is_zero_u32(number: &u32) -> bool {
    *number == 0
}

impl Progress {
    /// The beginning: the list of media, or the comments of one.
    pub(super) fn of(media: Option<&str>) -> Self {
        let page = media.map(|media| Page { media: media.to_owned(), ..Page::default() });
        Self { listed: page.is_some(), open: page.into_iter().collect(), ..Self::default() }
    }

    /// Whether everything was read.
    pub(super) fn is_done(&self) -> bool {
        self.listed && self.open.is_empty()
    }

    /// How many media a call asks for.
    pub(super) const fn media_limit(&self) -> u32 {
        halved(MEDIA, self.halved)
    }

    /// How many comments a call asks for.
    pub(super) const fn comments_limit(&self) -> u32 {
        halved(COMMENTS, self.halved)
    }

    /// Asks for less from now on; `false`: there is no less.
    pub(super) const fn wants_less(&mut self) -> bool {
        self.halved += 1;
        halved(COMMENTS, self.halved - 1) > 1
    }

    /// The list of media was read. Their comments may go on.
    pub(super) fn take_list(&mut self, media: &[FoundMedia]) {
        self.listed = true;
        self.media += media.len() as u64;
        for found in media {
            let place = Page { media: found.media.id.clone(), ..Page::default() };
            self.take_comments(&place, &found.comments);
        }
    }

    /// A page of comments was read. There may be a next one, and the answers to each may go on.
    pub(super) fn take_comments(&mut self, place: &Page, page: &CommentPage) {
        for comment in &page.comments {
            self.count(comment);
            let under = Page { parent: Some(comment.id.clone()), ..place.clone() };
            self.take_comments(&under, &comment.replies);
        }
        if let Some(after) = &page.next {
            self.push(Page { after: Some(after.clone()), ..place.clone() });
        }
    }

    fn push(&mut self, page: Page) {
        if self.open.len() < OPEN_MAX {
            self.open.push_back(page);
        } else {
            self.more = true;
        }
    }

    fn count(&mut self, comment: &FoundComment) {
        self.comments += 1;
        self.without_author += u64::from(comment.author_id.is_none());
        self.failed += u64::from(comment.time.is_none());
    }
}

const fn halved(limit: u32, times: u32) -> u32 {
    let times = if times > 6 { 6 } else { times };
    let left = limit >> times;
    if left == 0 { 1 } else { left }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comment(id: &str, replies: CommentPage) -> FoundComment {
        FoundComment { id: id.to_owned(), replies, ..FoundComment::default() }
    }

    #[test]
    fn what_goes_on_is_read_later_and_known_by_its_place() {
        let more = |after: &str| Some(after.to_owned());
        let replies =
            CommentPage { comments: vec![comment("r", CommentPage::default())], next: more("R2") };
        let comments = CommentPage { comments: vec![comment("c", replies)], next: more("C2") };
        let media = graph::Media { id: "m".to_owned(), ..graph::Media::default() };
        let mut progress = Progress::of(None);
        assert!(!progress.is_done());
        progress.take_list(&[FoundMedia { media, comments }]);
        assert_eq!((progress.media, progress.comments, progress.without_author), (1, 2, 2));
        let places: Vec<_> = progress
            .open
            .iter()
            .map(|page| (page.parent.as_deref(), page.after.as_deref()))
            .collect();
        assert_eq!(places, [(Some("c"), Some("R2")), (None, Some("C2"))]);
        let stored = serde_json::to_value(&progress).unwrap();
        assert_eq!(serde_json::from_value::<Progress>(stored).unwrap(), progress);
    }

    #[test]
    fn one_media_is_read_without_the_list_and_smaller_pages_have_an_end() {
        let mut progress = Progress::of(Some("m"));
        assert!(progress.listed && progress.open.len() == 1 && !progress.is_done());
        let mut limits = Vec::new();
        while progress.wants_less() {
            limits.push((progress.media_limit(), progress.comments_limit()));
        }
        assert_eq!(limits.first(), Some(&(12, 25)));
        assert_eq!(limits.last(), Some(&(1, 1)));
    }
}
