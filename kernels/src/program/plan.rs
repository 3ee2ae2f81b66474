//! The planner: buffer lifetimes read off a program become places in one arena.
//!
//! Offsets, peak bytes and the memory that a run really uses come from this one source, so that a stated plan
//! cannot disagree with the run.

use super::{Access, BufferId, Kind, Program};

/// Offsets are multiples of this many values (256 bytes): the strictest alignment that WebGPU asks of a binding.
const ALIGN: usize = 64;

/// Where one buffer lies in the arena, in values of four bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// First value.
    pub offset: usize,
    /// Values at capacity.
    pub len: usize,
    /// First and last operation that needs it.
    pub live: (usize, usize),
}

/// A placement for every arena buffer of a program.
#[derive(Debug, Clone)]
pub struct Plan {
    places: Vec<Option<Placement>>,
    len: usize,
}

impl Plan {
    /// Places the largest buffers first, each at the lowest offset where no buffer alive at the same time lies.
    pub fn new(program: &Program) -> Self {
        Self::in_segments(program, usize::MAX)
    }

    /// The same in an arena of segments of `segment` values: no buffer lies in two, unless it is larger than one.
    pub fn in_segments(program: &Program, segment: usize) -> Self {
        let lifetimes = lifetimes(program);
        let mut order: Vec<usize> = (0..lifetimes.len()).filter(|&i| lifetimes[i].is_some()).collect();
        let len_of = |i: usize| {
            let buffer = &program.buffers[i];
            program.capacity.of(buffer.rows).saturating_mul(buffer.width)
        };
        order.sort_by_key(|&i| (std::cmp::Reverse(len_of(i)), i));
        let mut places: Vec<Option<Placement>> = vec![None; lifetimes.len()];
        let mut placed: Vec<Placement> = Vec::new();
        let mut total: usize = 0;
        for i in order {
            let Some(live) = lifetimes[i] else { continue };
            let len = len_of(i);
            let mut neighbours: Vec<&Placement> =
                placed.iter().filter(|p| p.live.0 <= live.1 && live.0 <= p.live.1).collect();
            neighbours.sort_by_key(|p| p.offset);
            let whole = |offset: usize| {
                let room = segment - offset % segment;
                if len <= room { offset } else { offset.saturating_add(room) }
            };
            // Sizes that no memory has come to the largest number, which no device grants.
            let mut offset: usize = 0;
            for p in neighbours {
                if offset.saturating_add(len) <= p.offset {
                    break;
                }
                offset = whole(offset.max(aligned(p.offset.saturating_add(p.len))));
            }
            let place = Placement { offset, len, live };
            total = total.max(offset.saturating_add(len));
            placed.push(place);
            places[i] = Some(place);
        }
        Self { places, len: aligned(total) }
    }

    /// Where `buffer` lies, or `None` for state and for buffers that nothing uses.
    pub fn place(&self, buffer: BufferId) -> Option<Placement> {
        self.places[buffer.index()]
    }

    /// Values in the arena.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the program needs no arena.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of the arena.
    pub fn bytes(&self) -> usize {
        self.len.saturating_mul(4)
    }
}

fn aligned(values: usize) -> usize {
    values.checked_next_multiple_of(ALIGN).unwrap_or(usize::MAX)
}

/// First and last operation that needs each arena buffer. Inputs are alive from the start, outputs to the end.
fn lifetimes(program: &Program) -> Vec<Option<(usize, usize)>> {
    let end = program.operations.len();
    let mut live: Vec<Option<(usize, usize)>> = vec![None; program.buffers.len()];
    for (step, operation) in program.operations.iter().enumerate() {
        for (id, access) in operation.touches() {
            let buffer = &program.buffers[id.index()];
            let first = match buffer.kind {
                Kind::State(_) => continue,
                Kind::Input => 0,
                Kind::Scratch | Kind::Output => step,
            };
            let last = if buffer.kind == Kind::Output { end } else { step };
            debug_assert!(
                live[id.index()].is_some() || buffer.kind == Kind::Input || access == Access::Write,
                "{}: {} is used before it is written",
                operation.name(),
                buffer.name
            );
            let slot = &mut live[id.index()];
            *slot = Some(slot.map_or((first, last), |(from, to)| (from, to.max(last))));
        }
    }
    live
}
