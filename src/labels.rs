//! Closed lists of labels: what the SQL functions return as text, in one place each.

/// A value of a closed list: its name as SQL knows it and what it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// The name in SQL.
    pub name: &'static str,
    /// What it is called in English.
    pub en: &'static str,
    /// What it is called in Japanese.
    pub ja: &'static str,
}

/// Declares an enum whose values are the labels of a closed list, in the order of the list.
///
/// Each value has its name as SQL knows it and what it is called in English and Japanese.
macro_rules! labels {
    (
        $(#[$attribute:meta])*
        $list:ident $what:literal {
            $($(#[$doc:meta])* $value:ident = $name:literal, $en:literal, $ja:literal;)+
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $list {
            $($(#[$doc])* $value,)+
        }

        impl $list {
            /// The whole list, in order.
            pub const ALL: &'static [$list] = &[$($list::$value),+];

            /// The name in SQL.
            pub const fn name(self) -> &'static str {
                match self { $($list::$value => $name),+ }
            }

            /// What it is called in English.
            pub const fn label_en(self) -> &'static str {
                match self { $($list::$value => $en),+ }
            }

            /// What it is called in Japanese.
            pub const fn label_ja(self) -> &'static str {
                match self { $($list::$value => $ja),+ }
            }

            /// Its name with what it is called.
            pub const fn label(self) -> $crate::labels::Label {
                $crate::labels::Label { name: self.name(), en: self.label_en(), ja: self.label_ja() }
            }

            /// The value of that name.
            ///
            /// # Errors
            /// [`ErrorKind::InvalidParameter`](crate::error::ErrorKind::InvalidParameter), with the list, when it is not in it.
            pub fn from_name(name: &str) -> $crate::error::Result<$list> {
                Self::ALL.iter().copied().find(|value| value.name() == name).ok_or_else(|| {
                    let names: Vec<_> = Self::ALL.iter().map(|value| value.name()).collect();
                    $crate::error::Error::new(
                        $crate::error::ErrorKind::InvalidParameter,
                        format!(concat!("unknown ", $what, ": {}"), $crate::error::shown(name)),
                    )
                    .hint(format!("Use one of: {}.", names.join(", ")))
                })
            }
        }

        impl serde::Serialize for $list {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl<'de> serde::Deserialize<'de> for $list {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
                let name = String::deserialize(deserializer)?;
                Self::from_name(&name).map_err(|error| {
                    let hint = error.hint.as_deref().unwrap_or_default();
                    serde::de::Error::custom(format!("{}. {hint}", error.message))
                })
            }
        }
    };
}

pub(crate) use labels;
