"""What the kernels cost on a real GPU's instruction set, without that GPU: Mesa's RADV compiles for AMD RDNA 2 on any
machine and prints what came out.

    shaders.py FOLDER FAMILY TABLE NEW

FOLDER has a SPIR-V file for every kernel and combination of its constants; TABLE has the figures that are known, NEW gets
today's. Differences are printed. What fails: a kernel that spills, and one that only the folder or only the table has.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

COLUMNS = {
    # Vector registers a lane, of 256; fewer let more waves run at a time.
    "VGPRs": ["VGPRs"],
    # Registers that had to go to memory, and bytes of a lane's memory for arrays that no register can index.
    "spills": ["Spilled SGPRs", "Spilled VGPRs"],
    "scratch": ["Scratch size"],
    # Bytes of workgroup memory.
    "LDS": ["LDS size"],
    # Waves that a SIMD holds at a time.
    "waves": ["Subgroups per SIMD"],
    "instructions": ["Instructions"],
    # The compiler's estimate of cycles a wave takes of the busiest unit, loops guessed.
    "throughput": ["Inverse Throughput"],
}
# Multiply-adds in hundredths of the instructions of the innermost loop that has most of them: the ceiling of the share
# of the peak.
SHARE = "share"
FIGURES = [*COLUMNS, SHARE]
MULTIPLY_ADD = re.compile(r"v_(pk_)?(fma|mad|mac)\w*_f(16|32)|v_dot\d")
MARK = "== kernel "


def compile_all(files):
    """In a process of its own: makes a pipeline of every file, its name on standard error before what RADV prints."""
    import vulkan as vk

    application = vk.VkApplicationInfo(apiVersion=vk.VK_MAKE_VERSION(1, 3, 0))
    instance = vk.vkCreateInstance(vk.VkInstanceCreateInfo(pApplicationInfo=application), None)
    physical = vk.vkEnumeratePhysicalDevices(instance)[0]
    properties = vk.vkGetPhysicalDeviceProperties(physical)
    version = properties.driverVersion
    print(f"{properties.deviceName}, Mesa {version >> 22}.{version >> 12 & 1023}.{version & 4095}", flush=True)
    # As wgpu opens it: reading beyond a buffer is the hardware's to check, and so the loads' to bear.
    device = vk.vkCreateDevice(
        physical,
        vk.VkDeviceCreateInfo(
            pNext=vk.VkPhysicalDeviceRobustness2FeaturesEXT(robustBufferAccess2=True),
            pQueueCreateInfos=[vk.VkDeviceQueueCreateInfo(queueFamilyIndex=0, pQueuePriorities=[1.0])],
            ppEnabledExtensionNames=["VK_EXT_robustness2"],
            pEnabledFeatures=vk.VkPhysicalDeviceFeatures(robustBufferAccess=True),
        ),
        None,
    )

    def bindings(kind, count):
        common = dict(descriptorType=kind, descriptorCount=1, stageFlags=vk.VK_SHADER_STAGE_COMPUTE_BIT)
        entries = [vk.VkDescriptorSetLayoutBinding(binding=i, **common) for i in range(count)]
        layout = vk.VkDescriptorSetLayoutCreateInfo(pBindings=entries)
        return vk.vkCreateDescriptorSetLayout(device, layout, None)

    sets = [
        bindings(vk.VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 8),
        bindings(vk.VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER_DYNAMIC, 1),
    ]
    layout = vk.vkCreatePipelineLayout(device, vk.VkPipelineLayoutCreateInfo(pSetLayouts=sets), None)
    for file in files:
        os.write(2, f"{MARK}{file.stem}\n".encode())
        code = file.read_bytes()
        module = vk.vkCreateShaderModule(device, vk.VkShaderModuleCreateInfo(codeSize=len(code), pCode=code), None)
        stage = vk.VkPipelineShaderStageCreateInfo(stage=vk.VK_SHADER_STAGE_COMPUTE_BIT, module=module, pName="main")
        pipeline = vk.VkComputePipelineCreateInfo(stage=stage, layout=layout)
        vk.vkCreateComputePipelines(device, None, 1, [pipeline], None)


def loops(instructions, labels):
    """Instructions of every loop within which there is no other: (first, last)."""
    ends = {}
    for at, text in enumerate(instructions):
        branch = re.match(r"s_c?branch\w* (BB\d+)", text)
        if branch and labels[branch[1]] <= at:
            ends[labels[branch[1]]] = at
    within = [(first, last) for first, last in ends.items() for other in ends.items() if first <= other[0] <= last]
    return [loop for loop in ends.items() if within.count(loop) == 1]


def share(printed):
    """Multiply-adds a hundred instructions of the loop with most of them; None without a loop that has any."""
    text = printed.rpartition("disasm:\n")[2]
    instructions, labels = [], {}
    for line in text.splitlines():
        if label := re.match(r"(BB\d+):", line):
            labels[label[1]] = len(instructions)
        elif line.startswith("\t"):
            instructions.append(line.partition(";")[0].strip())
        else:
            break
    if not instructions:
        raise SystemExit("shaders.py: this Mesa prints no instructions")
    counts = [
        (sum(bool(MULTIPLY_ADD.match(text)) for text in instructions[first : last + 1]), last + 1 - first)
        for first, last in loops(instructions, labels)
    ]
    most, length = max(counts, default=(0, 1))
    return round(100 * most / length) if most else None


def figures(printed):
    """One kernel's figures, by column."""
    found = re.findall(r"^([A-Z][\w -]+): (\d+)$", printed.rpartition("*** SHADER STATS ***")[2], re.MULTILINE)
    stats = {name.lower(): int(value) for name, value in found}
    row = {}
    for column, names in COLUMNS.items():
        missing = [name for name in names if name.lower() not in stats]
        if missing:
            raise SystemExit(f"shaders.py: this Mesa does not print {', '.join(missing)}")
        row[column] = str(sum(stats[name.lower()] for name in names))
    row[SHARE] = str(share(printed) or "-")
    return row


def measure(folder, family):
    """The compiler in words, and every kernel's figures by its name."""
    drivers = [str(file) for file in Path("/usr/share/vulkan/icd.d").glob("radeon_icd*.json")]
    if not drivers:
        raise SystemExit("shaders.py: no RADV in /usr/share/vulkan/icd.d")
    environment = os.environ | {
        "RADV_FORCE_FAMILY": family,
        "RADV_DEBUG": "shaderstats,shaders,asm,nocache",
        "VK_ICD_FILENAMES": drivers[0],
        "VK_DRIVER_FILES": drivers[0],
    }
    command = [sys.executable, __file__, "--compile", str(folder)]
    child = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace")
    if child.returncode != 0:
        raise SystemExit(f"shaders.py: compiling failed:\n{child.stderr[-2000:]}")
    if MARK not in child.stderr:
        raise SystemExit(f"shaders.py: no kernel in {folder}")
    kernels = [part.partition("\n") for part in child.stderr.split(MARK)[1:]]
    return child.stdout.strip(), {name: figures(printed) for name, _, printed in kernels}


def read(table):
    """A table's first line, and its rows by kernel."""
    compiler, header, *lines = table.read_text().splitlines()
    names = header.split("\t")[1:]
    rows = (line.split("\t") for line in lines)
    return compiler.removeprefix("# "), {kernel: dict(zip(names, values)) for kernel, *values in rows}


def write(table, compiler, rows):
    lines = [f"# {compiler}", "\t".join(["kernel", *FIGURES])]
    lines += ["\t".join([kernel, *(row[name] for name in FIGURES)]) for kernel, row in sorted(rows.items())]
    table.write_text("\n".join(lines) + "\n")


def show(rows):
    width = max(map(len, rows))
    print(" " * width, *(f"{name:>12}" for name in FIGURES))
    for kernel, row in sorted(rows.items()):
        print(f"{kernel:{width}}", *(f"{row[name]:>12}" for name in FIGURES))


def compare(known, rows):
    """Prints what differs from what is known; returns what must not be."""
    for kernel in sorted(rows.keys() & known.keys()):
        changes = [
            f"{name} {known[kernel].get(name)} → {rows[kernel][name]}"
            for name in FIGURES
            if known[kernel].get(name) != rows[kernel][name]
        ]
        if changes:
            print(f"{kernel}: {', '.join(changes)}")
    failures = [f"{kernel} is not in the table" for kernel in sorted(rows.keys() - known.keys())]
    failures += [f"{kernel} is in the table alone" for kernel in sorted(known.keys() - rows.keys())]
    for kernel, row in sorted(rows.items()):
        if row["spills"] != "0" or row["scratch"] != "0":
            failures.append(f"{kernel} spills {row['spills']} registers and takes {row['scratch']} bytes of scratch")
    return failures


def main():
    if sys.argv[1] == "--compile":
        return compile_all(sorted(Path(sys.argv[2]).glob("*.spv")))
    folder, family, table, new = sys.argv[1:]
    compiler, rows = measure(Path(folder), family)
    show(rows)
    write(Path(new), compiler, rows)
    known_compiler, known = read(Path(table))
    print(f"\n{compiler}, {len(rows)} kernels; beside {table}, of {known_compiler}:")
    failures = compare(known, rows)
    if failures:
        print("\n".join(failures), file=sys.stderr)
        raise SystemExit(f"shaders.py: if that is meant: cp {new} {table}")


if __name__ == "__main__":
    main()
