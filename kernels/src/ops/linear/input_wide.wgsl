// Rows of the input whose width is a multiple of what the kernel reads at a time. Binding 2 of the kernel.

@group(0) @binding(2) var<storage, read_write> input: array<vec4<f32>>;

// Values 4i to 4i + 3 of row `row`.
fn input4(row: u32, i: u32) -> vec4<f32> {
    return input[row * (params.input_width / 4u) + i];
}
