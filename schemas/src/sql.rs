//! How these types stand in columns of Postgres (feature `sqlx`): words and ids as `text`, a [`Timestamp`] as `timestamptz`.
//! What Postgres keeps beyond milliseconds is cut off when it is read.

use chrono::{DateTime, Utc};
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueRef};
use sqlx::{Decode, Encode, Postgres, Type};

use crate::command::Requester;
use crate::event::Via;
use crate::facts::{PartState, WithdrawReason};
use crate::ids::{AccountId, CommandId, ContactId, ConversationId, EventId, MessageId};
use crate::{Channel, Kind, Login, Timestamp};

/// Makes a type a `text` column: by its `as_str` and its `FromStr`, whose error must be an error.
#[macro_export]
macro_rules! text_column {
    ($($type:ty),+ $(,)?) => {$(
        impl ::sqlx::Type<::sqlx::Postgres> for $type {
            fn type_info() -> ::sqlx::postgres::PgTypeInfo {
                <str as ::sqlx::Type<::sqlx::Postgres>>::type_info()
            }

            fn compatible(column: &::sqlx::postgres::PgTypeInfo) -> bool {
                <str as ::sqlx::Type<::sqlx::Postgres>>::compatible(column)
            }
        }

        impl ::sqlx::postgres::PgHasArrayType for $type {
            fn array_type_info() -> ::sqlx::postgres::PgTypeInfo {
                <String as ::sqlx::postgres::PgHasArrayType>::array_type_info()
            }

            fn array_compatible(column: &::sqlx::postgres::PgTypeInfo) -> bool {
                <String as ::sqlx::postgres::PgHasArrayType>::array_compatible(column)
            }
        }

        impl ::sqlx::Encode<'_, ::sqlx::Postgres> for $type {
            fn encode_by_ref(
                &self,
                buffer: &mut ::sqlx::postgres::PgArgumentBuffer,
            ) -> Result<::sqlx::encode::IsNull, ::sqlx::error::BoxDynError> {
                <&str as ::sqlx::Encode<::sqlx::Postgres>>::encode(self.as_str(), buffer)
            }
        }

        impl ::sqlx::Decode<'_, ::sqlx::Postgres> for $type {
            fn decode(value: ::sqlx::postgres::PgValueRef<'_>) -> Result<Self, ::sqlx::error::BoxDynError> {
                Ok(<&str as ::sqlx::Decode<::sqlx::Postgres>>::decode(value)?.parse::<Self>()?)
            }
        }
    )+};
}

text_column!(Channel, Login, Kind, Via, Requester, PartState, WithdrawReason);
text_column!(AccountId, ContactId, MessageId, ConversationId, EventId, CommandId);

impl Type<Postgres> for Timestamp {
    fn type_info() -> PgTypeInfo {
        <DateTime<Utc> as Type<Postgres>>::type_info()
    }

    fn compatible(column: &PgTypeInfo) -> bool {
        <DateTime<Utc> as Type<Postgres>>::compatible(column)
    }
}

impl PgHasArrayType for Timestamp {
    fn array_type_info() -> PgTypeInfo {
        <DateTime<Utc> as PgHasArrayType>::array_type_info()
    }

    fn array_compatible(column: &PgTypeInfo) -> bool {
        <DateTime<Utc> as PgHasArrayType>::array_compatible(column)
    }
}

impl Encode<'_, Postgres> for Timestamp {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        <DateTime<Utc> as Encode<Postgres>>::encode(self.to_datetime(), buffer)
    }

    fn size_hint(&self) -> usize {
        size_of::<i64>()
    }
}

impl Decode<'_, Postgres> for Timestamp {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        Ok(<DateTime<Utc> as Decode<Postgres>>::decode(value)?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_the_microseconds_postgres_counts() {
        let mut buffer = PgArgumentBuffer::default();
        let time = Timestamp::from_millis(1_795_000_200_007);
        assert!(Encode::<Postgres>::encode(time, &mut buffer).is_ok());
        // Since 2000-01-01.
        let micros: i64 = (1_795_000_200_007 - 946_684_800_000) * 1000;
        assert_eq!(&**buffer, micros.to_be_bytes());
    }

    #[test]
    fn words_and_ids_are_text() {
        for column in [Channel::type_info(), Via::type_info(), EventId::type_info()] {
            assert_eq!(column, <str as Type<Postgres>>::type_info());
        }
        assert!(Channel::compatible(&PgTypeInfo::with_name("text")));
        assert!(!Timestamp::compatible(&PgTypeInfo::with_name("timestamp")));
    }
}
