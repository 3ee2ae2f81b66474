//! The planner: buffers that are alive together never share memory, and simple chains take no more than they must.

use idiolect_kernels::ops::{Activation::Silu, Dropout, Glu, GluBackward};
use idiolect_kernels::program::{BufferId, Kind, Plan, Program, RowCounts, Rows};

use crate::common::random::Random;
use crate::common::table::Table;

const CAPACITY: RowCounts = RowCounts { tokens: 7, selected: 3 };

/// Some operations over random buffers, each written before it is read. Only what they touch matters here.
fn random_program(random: &mut Random) -> Program {
    let mut program = Program::new("random", CAPACITY);
    let mut written: Vec<BufferId> = Vec::new();
    let rows = |random: &mut Random| [Rows::Tokens, Rows::Selected, Rows::Fixed(1 + random.below(40))][random.below(3)];
    for _ in 0..1 + random.below(4) {
        let rows = rows(random);
        written.push(program.input("input", rows, 1 + random.below(300)));
    }
    for _ in 0..1 + random.below(40) {
        let mut fresh = |program: &mut Program| {
            let (rows, width) = (rows(random), 1 + random.below(300));
            if random.below(6) == 0 {
                program.output("output", rows, width)
            } else {
                program.scratch("scratch", rows, width)
            }
        };
        let (first, second) = (fresh(&mut program), fresh(&mut program));
        let mut old = || written[random.below(written.len())];
        let (a, b, c) = (old(), old(), old());
        match random.below(4) {
            0 => program.push(Glu { activation: Silu, gate: a, up: Some(b), out: first }),
            1 => program.push(Dropout { x: a, out: first, rate: 0.5, module: 0, add: false }),
            2 => program.push(Dropout { x: a, out: b, rate: 0.5, module: 0, add: true }),
            _ => program.push(GluBackward { activation: Silu, gate: a, up: Some([b, second]), dout: c, dgate: first }),
        }
        let operation = program.operations().last().unwrap();
        written.extend(operation.touches().iter().map(|t| t.0).filter(|id| !written.contains(id)).collect::<Vec<_>>());
    }
    program
}

/// Whether `buffer` holds something that matters while operation `step` runs.
fn alive(program: &Program, buffer: BufferId, step: usize) -> bool {
    let uses = |range: &[Box<dyn idiolect_kernels::program::Operation>]| {
        range.iter().any(|o| o.touches().iter().any(|t| t.0 == buffer))
    };
    let operations = program.operations();
    let begun = uses(&operations[..=step]) || program.buffer(buffer).kind == Kind::Input;
    let needed = uses(&operations[step..]) || program.buffer(buffer).kind == Kind::Output;
    begun && needed
}

fn values(program: &Program, buffer: BufferId) -> usize {
    let buffer = program.buffer(buffer);
    CAPACITY.of(buffer.rows) * buffer.width
}

#[test]
fn buffers_alive_together_never_overlap() {
    let (mut table, mut random) = (Table::default(), Random::new(21));
    for round in 0..400 {
        let program = random_program(&mut random);
        let plan = Plan::new(&program);
        for step in 0..program.operations().len() {
            let mut ranges: Vec<(usize, usize, BufferId)> = Vec::new();
            for (id, _) in program.buffers().filter(|(id, _)| alive(&program, *id, step)) {
                // A buffer that no operation uses needs no place.
                let Some(place) = plan.place(id) else { continue };
                table.expect(place.len == values(&program, id) && place.offset + place.len <= plan.len(), || {
                    format!("program {round}: {id:?} at {place:?} of {}", plan.len())
                });
                ranges.push((place.offset, place.offset + place.len, id));
            }
            ranges.sort();
            for pair in ranges.windows(2) {
                table.expect(pair[0].1 <= pair[1].0, || format!("program {round}, operation {step}: {pair:?}"));
            }
        }
        let used = |id: BufferId| program.operations().iter().any(|o| o.touches().iter().any(|t| t.0 == id));
        for (id, _) in program.buffers() {
            table.expect(plan.place(id).is_some() == used(id), || format!("program {round}: {id:?} and its place"));
        }
    }
    table.finish();
}

#[test]
fn a_chain_takes_its_largest_pair() {
    let mut table = Table::default();
    // Widths in units of 64 values, the planner's alignment.
    let chains: [&[usize]; 7] = [
        &[1],
        &[4, 4, 4, 4, 4, 4],
        &[9, 7, 5, 3, 1],
        &[1, 3, 5, 7, 9],
        &[9, 24, 24, 9, 9, 24, 24, 9, 9, 24, 24, 9],
        &[2, 8, 2, 8, 2, 8, 2],
        &[5, 1, 6, 2, 7, 3],
    ];
    for widths in chains {
        let mut program = Program::new("chain", CAPACITY);
        let mut last = program.input("input", Rows::Fixed(64), widths[0]);
        for &width in &widths[1..] {
            let next = program.scratch("link", Rows::Fixed(64), width);
            program.push(Dropout { x: last, out: next, rate: 0.5, module: 0, add: false });
            last = next;
        }
        let end = program.output("end", Rows::Fixed(64), 1);
        program.push(Dropout { x: last, out: end, rate: 0.5, module: 0, add: false });
        let all: Vec<usize> = widths.iter().copied().chain([1]).collect();
        let largest = all.windows(2).map(|pair| pair.iter().sum::<usize>()).max().unwrap_or(0) * 64;
        let plan = Plan::new(&program);
        table.expect(plan.len() == largest, || format!("{widths:?}: {} values, not {largest}", plan.len()));
        table.expect(plan.bytes() == 4 * plan.len(), || format!("{widths:?}: {} bytes", plan.bytes()));
    }
    table.finish();
}
