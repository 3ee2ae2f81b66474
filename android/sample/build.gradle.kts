import org.jetbrains.kotlin.gradle.dsl.JvmTarget

plugins {
    alias(libs.plugins.android.application)
    alias(libs.plugins.kotlin.android)
}

/** The model that comes with the app: the small one that is embedded in the command line. */
val model = layout.buildDirectory.dir("generated/model")
val copyModel by tasks.registering(Copy::class) {
    from(rootDir.parentFile.resolve("bindings/cli/assets/base"))
    into(model.map { it.dir("base") })
}

android {
    namespace = "io.github.idiolect.sample"
    compileSdk = libs.versions.android.compile.sdk.get().toInt()

    defaultConfig {
        applicationId = "io.github.idiolect.sample"
        minSdk = libs.versions.android.min.sdk.get().toInt()
        targetSdk = 35
        versionCode = 1
        versionName = "1"
        testInstrumentationRunner = "androidx.test.runner.AndroidJUnitRunner"
    }

    buildTypes {
        release {
            isMinifyEnabled = true
            proguardFiles(getDefaultProguardFile("proguard-android-optimize.txt"))
            signingConfig = signingConfigs.getByName("debug")
        }
    }

    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_17
        targetCompatibility = JavaVersion.VERSION_17
    }

    sourceSets["main"].assets.srcDir(model)
    // The tests' assets: what somebody wrote, and the published model, where tests/get-model has fetched it.
    val target = providers.environmentVariable("CARGO_TARGET_DIR").getOrElse("target")
    for (folder in listOf("bindings/cli/assets", "$target/models")) {
        sourceSets["androidTest"].assets.srcDir(rootDir.parentFile.resolve(folder))
    }
    androidResources { noCompress += "gguf" }
}

kotlin {
    compilerOptions { jvmTarget = JvmTarget.JVM_17 }
}

dependencies {
    implementation(project(":idiolect"))
    androidTestImplementation(libs.androidx.test.runner)
}

tasks.named("preBuild") { dependsOn(copyModel) }
