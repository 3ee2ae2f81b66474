//! Memory that is wiped when it is freed.
//!
//! A key or a passphrase that an app gives is copied on its way: uniffi puts arguments into buffers of its own and frees
//! them as they are. All of these are small, and all come from this library's allocator: so it wipes what is small, and
//! no copy is left on this side.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;

#[global_allocator]
static ALLOCATOR: Wiping<System> = Wiping(System);

/// The largest piece that is wiped, in bytes: beyond what carries secrets, and far below what holds models.
const SMALL: usize = 1 << 12;

struct Wiping<A>(A);

// SAFETY: every call goes on to an allocator that keeps the contract, with the layout that it was given; what is written
// to is memory that the caller gives up, within its layout.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Wiping<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are those that it asks for.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as in `alloc`.
        unsafe { self.0.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if layout.size() <= SMALL {
            // SAFETY: the caller gives up `layout.size()` bytes from `pointer` on, which it could write to until now.
            unsafe { pointer.write_bytes(0, layout.size()) };
            // Somebody might look: without this, the compiler leaves out a write before memory is freed.
            black_box(pointer);
        }
        // SAFETY: as in `alloc`.
        unsafe { self.0.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if layout.size() > SMALL {
            // SAFETY: as in `alloc`.
            return unsafe { self.0.realloc(pointer, layout, size) };
        }
        // Not the allocator's own, which may move the bytes and leave them behind.
        // SAFETY: the caller promises that `size` is not zero and, rounded up, no larger than a layout's may be.
        let grown = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: `grown` has the caller's size, which is not zero.
        let moved = unsafe { self.0.alloc(grown) };
        if !moved.is_null() {
            // SAFETY: both pieces have so many bytes, and the new one is another than the old.
            unsafe { moved.copy_from_nonoverlapping(pointer, layout.size().min(size)) };
            // SAFETY: the caller gives up the old piece.
            unsafe { self.dealloc(pointer, layout) };
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Remembers what lies in every piece that it gets back.
    struct Remembers(Mutex<Vec<Vec<u8>>>);

    // SAFETY: it only looks at what is given up before it passes it on.
    unsafe impl GlobalAlloc for Remembers {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // SAFETY: as the caller promises.
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
            // SAFETY: the tests fill every piece before they give it up.
            self.0.lock().unwrap().push(unsafe { std::slice::from_raw_parts(pointer, layout.size()) }.to_vec());
            // SAFETY: as the caller promises.
            unsafe { System.dealloc(pointer, layout) }
        }
    }

    #[test]
    fn small_pieces_are_wiped_and_large_ones_left() {
        for (size, grown) in [(1, 2), (32, 64), (SMALL, 2 * SMALL), (64, 16), (SMALL + 1, 2 * SMALL)] {
            let allocator = Wiping(Remembers(Mutex::default()));
            let layout = Layout::array::<u8>(size).unwrap();
            // SAFETY: sizes are not zero; pieces are filled in full, and given up once, with the layout that they have.
            let kept = unsafe {
                let piece = allocator.alloc(layout);
                piece.write_bytes(7, size);
                let piece = allocator.realloc(piece, layout, grown);
                let kept = std::slice::from_raw_parts(piece, size.min(grown)).to_vec();
                piece.write_bytes(7, grown);
                allocator.dealloc(piece, Layout::array::<u8>(grown).unwrap());
                kept
            };
            assert!(kept.iter().all(|byte| *byte == 7), "{size} to {grown}");
            for freed in allocator.0.0.into_inner().unwrap() {
                let left = if freed.len() <= SMALL { 0 } else { 7 };
                assert!(freed.iter().all(|byte| *byte == left), "{size} to {grown}: {}", freed.len());
            }
        }
    }
}
