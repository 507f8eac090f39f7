//! Records read from JSON the way Go reads them: keys in any case, `null` where a value
//! is missing, unknown members left alone.

/// Declares structs whose members all have a default, each with its key in JSON.
macro_rules! records {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty = $key:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        #[cfg(feature = "serde")]
        const _: () = {
            use $crate::ecs::json::Read;

            impl<'de> serde::Deserialize<'de> for $name {
                fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                    from.deserialize_map(Members)
                }
            }

            struct Members;

            impl<'de> serde::de::Visitor<'de> for Members {
                type Value = $name;

                fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                    f.write_str("an object")
                }

                fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<$name, A::Error> {
                    let mut record = $name::default();
                    while let Some(key) = map.next_key::<alloc::string::String>()? {
                        $(if key.eq_ignore_ascii_case($key) {
                            let raw = map.next_value::<Option<<$type as Read>::Raw>>()?;
                            if let Some(raw) = raw {
                                record.$field = Read::read(raw);
                            }
                            continue;
                        })*
                        map.next_value::<serde::de::IgnoredAny>()?;
                    }
                    Ok(record)
                }
            }

            impl Read for $name {
                type Raw = Self;
                fn read(raw: Self) -> Self {
                    raw
                }
            }
        };
    )*};
}

pub(super) use records;

/// How a member is read: lists and maps may hold `null`, which stands for the default.
#[cfg(feature = "serde")]
pub(super) trait Read {
    /// As the deserialiser gives it.
    type Raw: serde::de::DeserializeOwned;
    fn read(raw: Self::Raw) -> Self;
}

#[cfg(feature = "serde")]
mod reads {
    use alloc::collections::BTreeMap;
    use alloc::string::String;
    use alloc::vec::Vec;

    use super::Read;

    macro_rules! plain {
        ($($type:ty),*) => {$(
            impl Read for $type {
                type Raw = Self;
                fn read(raw: Self) -> Self {
                    raw
                }
            }
        )*};
    }

    plain!(String, u64, i64, f64);

    impl<T: Read> Read for Option<T> {
        type Raw = T::Raw;
        fn read(raw: T::Raw) -> Self {
            Some(T::read(raw))
        }
    }

    impl<T: Read + Default> Read for Vec<T> {
        type Raw = Vec<Option<T::Raw>>;
        fn read(raw: Self::Raw) -> Self {
            raw.into_iter().map(|item| item.map_or_else(T::default, T::read)).collect()
        }
    }

    impl<T: Read + Default> Read for BTreeMap<String, T> {
        type Raw = BTreeMap<String, Option<T::Raw>>;
        fn read(raw: Self::Raw) -> Self {
            raw.into_iter().map(|(key, item)| (key, item.map_or_else(T::default, T::read))).collect()
        }
    }
}

/// Reads a document whose top is a record, or a map or list of records.
///
/// # Errors
///
/// The deserialiser's, where a member has another type than it should.
#[cfg(feature = "serde")]
pub(super) fn read<'de, T: Read, D: serde::Deserializer<'de>>(from: D) -> Result<T, D::Error>
where
    T::Raw: serde::Deserialize<'de>,
{
    Ok(T::read(<T::Raw as serde::Deserialize>::deserialize(from)?))
}
