//! The parameters of kernels as structs: those that a launch gives, and the header that the executor puts before them.
//!
//! A test holds each against the `Params` of its shader: the same names in the same order, types, offsets and size.

use crate::error::{Error, Result};

/// Parameters that [`params!`] declares, scalars of four bytes each.
pub(crate) trait Params: bytemuck::Pod {
    /// The members, in order.
    #[cfg(test)]
    const FIELDS: &'static [Field];
}

/// Parameters of a kernel with a thread for each of some items: they start with `len`, the number of items.
pub(crate) trait PerItem: Params {
    fn items(&self) -> u32;
}

/// A member of a parameter struct.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct Field {
    pub name: &'static str,
    pub scalar: &'static str,
    /// Bytes from the struct's beginning.
    pub offset: usize,
}

/// Nothing behind the header.
impl Params for () {
    #[cfg(test)]
    const FIELDS: &'static [Field] = &[];
}

/// Declares a struct of [`Params`], which is [`PerItem`] where `len: u32` comes first.
macro_rules! params {
    (@declare $(#[$of_struct:meta])* $visibility:vis struct $name:ident {
        $($(#[$of_field:meta])* $field:ident: $scalar:ty),*
    }) => {
        $(#[$of_struct])*
        #[repr(C)]
        #[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
        $visibility struct $name {
            $($(#[$of_field])* $visibility $field: $scalar),*
        }

        impl $crate::gpu::params::Params for $name {
            #[cfg(test)]
            const FIELDS: &'static [$crate::gpu::params::Field] = &[$($crate::gpu::params::Field {
                name: stringify!($field),
                scalar: stringify!($scalar),
                offset: std::mem::offset_of!($name, $field),
            }),*];
        }
    };
    ($(#[$of_struct:meta])* $visibility:vis struct $name:ident {
        $(#[$of_len:meta])* len: u32 $(, $(#[$of_field:meta])* $field:ident: $scalar:ty)* $(,)?
    }) => {
        $crate::gpu::params!(@declare $(#[$of_struct])* $visibility struct $name {
            $(#[$of_len])* len: u32 $(, $(#[$of_field])* $field: $scalar)*
        });

        impl $crate::gpu::params::PerItem for $name {
            fn items(&self) -> u32 {
                self.len
            }
        }
    };
    ($(#[$of_struct:meta])* $visibility:vis struct $name:ident {
        $($(#[$of_field:meta])* $field:ident: $scalar:ty),* $(,)?
    }) => {
        $crate::gpu::params!(@declare $(#[$of_struct])* $visibility struct $name {
            $($(#[$of_field])* $field: $scalar),*
        });
    };
}
pub(crate) use params;

params! {
    /// What every kernel's `Params` starts with.
    pub(crate) struct Header {
        /// To be added to the workgroup's index, so that one grid can be dispatched in pieces.
        first_x: u32,
        /// As `first_x`, along the other axis.
        first_y: u32,
        /// The number of the submission that the piece is in.
        submission: u32,
    }
}

/// A count as a parameter.
///
/// # Errors
/// [`Error::Shape`] where it is beyond what shaders count with.
pub(crate) fn count(n: usize) -> Result<u32> {
    u32::try_from(n).map_err(|_| Error::Shape(format!("{n} is beyond the counts of a kernel's parameters")))
}
