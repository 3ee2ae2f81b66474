//! Types of this surface that say what a type of the engine says, under the same names: written once, with what turns the
//! one into the other. What is not the same by name is written out where it is.

/// Turns a value of the engine's into one of the surface's, or back.
pub(crate) trait Mirror<T> {
    fn mirror(self) -> T;
}

macro_rules! same {
    ($($type:ty),*) => { $(impl Mirror<$type> for $type {
        fn mirror(self) -> $type {
            self
        }
    })* };
}

same!(bool, u16, u32, u64, i64, f32, f64, String);

impl Mirror<u64> for usize {
    fn mirror(self) -> u64 {
        self as u64
    }
}

impl Mirror<u32> for usize {
    fn mirror(self) -> u32 {
        u32::try_from(self).unwrap_or(u32::MAX)
    }
}

impl<A: Mirror<B>, B> Mirror<Option<B>> for Option<A> {
    fn mirror(self) -> Option<B> {
        self.map(A::mirror)
    }
}

impl<A: Mirror<B>, B> Mirror<Vec<B>> for Vec<A> {
    fn mirror(self) -> Vec<B> {
        self.into_iter().map(A::mirror).collect()
    }
}

/// A record or an enumeration that comes `from` the engine or goes `into` it. An enumeration that the engine may add to has
/// `else` and the case for what this surface does not know yet.
macro_rules! mirror {
    ($(#[$meta:meta])* pub struct $name:ident from $($core:ident)::+ {
        $($(#[$about:meta])* pub $field:ident: $type:ty,)+
    }) => {
        $(#[$meta])*
        pub struct $name { $($(#[$about])* pub $field: $type,)+ }

        impl From<$($core)::+> for $name {
            fn from(core: $($core)::+) -> Self {
                Self { $($field: $crate::mirror::Mirror::mirror(core.$field),)+ }
            }
        }

        mirror!(@by_from $($core)::+ => $name);
    };
    ($(#[$meta:meta])* pub struct $name:ident into $($core:ident)::+ {
        $($(#[$about:meta])* pub $field:ident: $type:ty,)+
    }) => {
        $(#[$meta])*
        pub struct $name { $($(#[$about])* pub $field: $type,)+ }

        impl From<$name> for $($core)::+ {
            fn from(own: $name) -> Self {
                Self { $($field: $crate::mirror::Mirror::mirror(own.$field),)+ }
            }
        }
    };
    ($(#[$meta:meta])* pub enum $name:ident from $($core:ident)::+ {
        $($(#[$about:meta])* $case:ident $({ $($(#[$of:meta])* $field:ident: $type:ty,)+ })?,)+
    } $(else {
        $(#[$unknown:meta])* $other:ident,
    })?) => {
        $(#[$meta])*
        pub enum $name {
            $($(#[$about])* $case $({ $($(#[$of])* $field: $type,)+ })?,)+
            $($(#[$unknown])* $other,)?
        }

        impl From<$($core)::+> for $name {
            fn from(core: $($core)::+) -> Self {
                type Core = $($core)::+;
                match core {
                    $(Core::$case $({ $($field,)+ })? => Self::$case $({
                        $($field: $crate::mirror::Mirror::mirror($field),)+
                    })?,)+
                    $(_ => Self::$other,)?
                }
            }
        }

        mirror!(@by_from $($core)::+ => $name);
    };
    ($(#[$meta:meta])* pub enum $name:ident into $($core:ident)::+ {
        $($(#[$about:meta])* $case:ident,)+
    }) => {
        $(#[$meta])*
        pub enum $name { $($(#[$about])* $case,)+ }

        impl From<$name> for $($core)::+ {
            fn from(own: $name) -> Self {
                match own {
                    $($name::$case => Self::$case,)+
                }
            }
        }
    };
    (@by_from $from:ty => $to:ty) => {
        impl $crate::mirror::Mirror<$to> for $from {
            fn mirror(self) -> $to {
                self.into()
            }
        }
    };
}

pub(crate) use mirror;
