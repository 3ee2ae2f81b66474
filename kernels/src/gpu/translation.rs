//! Every kernel, with every value of its constants, is valid WGSL and translates to SPIR-V, MSL and GLSL.

use naga::back::{PipelineConstants, glsl, msl, pipeline_constants, spv};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};

use super::kernel::{HEADER, Kernel};

/// All combinations of a kernel's constants.
fn combinations(kernel: &Kernel) -> Vec<PipelineConstants> {
    kernel.constants.iter().fold(vec![PipelineConstants::default()], |sets, (name, values)| {
        let extended = |set: &PipelineConstants, value: u32| {
            let mut set = set.clone();
            set.insert((*name).to_owned(), f64::from(value));
            set
        };
        sets.iter().flat_map(|set| values.iter().map(|&v| extended(set, v))).collect()
    })
}

fn translate(kernel: &Kernel, module: &naga::Module, info: &ModuleInfo) -> Result<(), String> {
    let stage = naga::ShaderStage::Compute;
    let entry_point = "main".to_owned();
    spv::write_vec(
        module,
        info,
        &spv::Options::default(),
        Some(&spv::PipelineOptions { shader_stage: stage, entry_point: entry_point.clone() }),
    )
    .map_err(|e| format!("{}: SPIR-V: {e}", kernel.name))?;
    let options = msl::Options { fake_missing_bindings: true, ..Default::default() };
    let pipeline = msl::PipelineOptions { entry_point: Some((stage, entry_point.clone())), ..Default::default() };
    msl::write_string(module, info, &options, &pipeline).map_err(|e| format!("{}: MSL: {e}", kernel.name))?;
    let options = glsl::Options { version: glsl::Version::new_gles(310), ..Default::default() };
    let pipeline = glsl::PipelineOptions { shader_stage: stage, entry_point, multiview: None };
    let mut text = String::new();
    glsl::Writer::new(&mut text, module, info, &options, &pipeline, naga::proc::BoundsCheckPolicies::default())
        .and_then(|mut writer| writer.write())
        .map_err(|e| format!("{}: GLSL: {e}", kernel.name))?;
    Ok(())
}

#[test]
fn every_kernel_translates() {
    let mut failures = Vec::new();
    let kernels = crate::ops::kernels();
    for kernel in kernels.into_iter().chain([&super::recorder::ZERO, &super::flow::GUARD]) {
        let source = kernel.source();
        let module = match naga::front::wgsl::parse_str(&source) {
            Ok(module) => module,
            Err(e) => {
                failures.push(format!("{}: {}", kernel.name, e.emit_to_string(&source)));
                continue;
            }
        };
        // The baseline of WebGPU, which has `unpack2x16float`, and nothing optional.
        let capabilities = Capabilities::SHADER_FLOAT16_IN_FLOAT32;
        let info = match Validator::new(ValidationFlags::all(), capabilities).validate(&module) {
            Ok(info) => info,
            Err(e) => {
                failures.push(format!("{}: {}", kernel.name, e.emit_to_string(&source)));
                continue;
            }
        };
        for constants in combinations(kernel) {
            let stage = Some((naga::ShaderStage::Compute, "main"));
            match pipeline_constants::process_overrides(&module, &info, stage, &constants) {
                Ok((module, info)) => failures.extend(translate(kernel, &module, &info).err()),
                Err(e) => failures.push(format!("{} {constants:?}: {e}", kernel.name)),
            }
        }
        let names: Vec<_> = module.overrides.iter().filter_map(|(_, o)| o.name.clone()).collect();
        if names.iter().any(|n| kernel.constants.iter().all(|(known, _)| known != n)) {
            failures.push(format!("{}: constants {names:?} are not all in its table", kernel.name));
        }
        let params = module.types.iter().find(|(_, t)| t.name.as_deref() == Some("Params"));
        let header = ["first_x", "first_y", "submission"];
        match params.map(|(_, t)| &t.inner) {
            Some(naga::TypeInner::Struct { members, .. })
                if members.iter().take(HEADER).map(|m| m.name.as_deref()).eq(header.map(Some)) => {}
            _ => failures.push(format!("{}: Params must start with {header:?}", kernel.name)),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
