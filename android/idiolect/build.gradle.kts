import org.jetbrains.kotlin.gradle.dsl.JvmTarget

plugins {
    alias(libs.plugins.android.library)
    alias(libs.plugins.kotlin.android)
    alias(libs.plugins.dokka)
    `maven-publish`
}

/** Where Cargo's workspace is. */
val workspace: File = rootDir.parentFile
/** Where Cargo puts what it builds. */
val cargoTarget: File = workspace.resolve(providers.environmentVariable("CARGO_TARGET_DIR").getOrElse("target"))
val generatedKotlin = layout.buildDirectory.dir("generated/bindings")
val nativeLibraries = layout.buildDirectory.dir("generated/jniLibs")
val rustSources = fileTree(workspace) {
    include("Cargo.toml", "Cargo.lock", "core/**", "kernels/**", "bindings/**")
}

group = "io.github.idiolect"
version = checkNotNull(Regex("""\[workspace\.package]\s+version = "(.+)"""").find(workspace.resolve("Cargo.toml").readText())) {
    "Cargo.toml has no version first in [workspace.package]"
}.groupValues[1]

android {
    namespace = "io.github.idiolect"
    compileSdk = libs.versions.android.compile.sdk.get().toInt()
    ndkVersion = libs.versions.android.ndk.get()

    defaultConfig {
        minSdk = libs.versions.android.min.sdk.get().toInt()
        consumerProguardFiles("consumer-rules.pro")
    }

    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_17
        targetCompatibility = JavaVersion.VERSION_17
    }

    sourceSets["main"].apply {
        kotlin.srcDir(generatedKotlin)
        jniLibs.srcDir(nativeLibraries)
    }

    publishing {
        singleVariant("release") { withSourcesJar() }
    }
}

// The component is there once the plugin has made the variants.
afterEvaluate {
    publishing.publications.register<MavenPublication>("release") { from(components["release"]) }
}

// What is public says so in the facade: `tests/run kotlin` compiles it so. Not here, for the generated sources do not.
kotlin {
    compilerOptions { jvmTarget = JvmTarget.JVM_17 }
}

dependencies {
    api(libs.coroutines.android)
    // With the native part of JNA, which the .aar has and the .jar does not.
    implementation(libs.jna) { artifact { type = "aar" } }
}

/** The library for phones, for each of the four ABIs, on pages of 16 KB. */
val buildNativeLibraries by tasks.registering(Exec::class) {
    inputs.files(rustSources)
    outputs.dir(nativeLibraries)
    workingDir = workspace
    environment("ANDROID_NDK_HOME", android.ndkDirectory)
    environment("CARGO_ENCODED_RUSTFLAGS", "-Clink-arg=-Wl,-z,max-page-size=16384")
    commandLine(
        listOf("cargo", "ndk", "--platform", libs.versions.android.min.sdk.get()) +
            listOf("arm64-v8a", "armeabi-v7a", "x86_64", "x86").flatMap { listOf("--target", it) } +
            listOf("--output-dir", nativeLibraries.get().asFile.path) +
            listOf("build", "--profile", "phone", "--package", "idiolect-ffi"),
    )
}

/** The library for this machine, and the generator that reads the surface from it. */
val buildGenerator by tasks.registering(Exec::class) {
    inputs.files(rustSources)
    outputs.upToDateWhen { false }
    workingDir = workspace
    commandLine("cargo", "build", "--package", "idiolect-ffi", "--features", "bindgen")
}

val generateBindings by tasks.registering(Exec::class) {
    dependsOn(buildGenerator)
    inputs.files(rustSources)
    outputs.dir(generatedKotlin)
    workingDir = workspace
    val built = cargoTarget.resolve("debug")
    commandLine(
        built.resolve("uniffi-bindgen").path, "generate", built.resolve(System.mapLibraryName("idiolect_ffi")).path,
        "--language", "kotlin", "--no-format", "--out-dir", generatedKotlin.get().asFile.path,
    )
}

tasks.named("preBuild") {
    dependsOn(buildNativeLibraries, generateBindings)
}
