# The part `android` of tests/run, which sources this.

# Android's library and the sample app, without an SDK: under Robolectric, in which Android's own code runs on the JVM.
android() {
  command -v javac >/dev/null || packages default-jdk-headless
  command -v mvn >/dev/null || packages maven
  packages aapt android-framework-res apksigner dexdump gcc unzip zip zipalign
  mkdir -p "$target/android"
  local home
  home=$(cd "$target/android" && pwd)
  say "Robolectric, R8, the Kotlin compiler"
  tests/android/fetch "$home"
  surface kotlin "$home/sources"
  say "the published model, an asset of the tests"
  venv
  "$python" tests/get-model
  say "the library and the sample app"
  tests/android/build "$home"
  say "the screens, the keyboard and the training job, on the real engine"
  rm -rf "$home/pictures"
  mkdir "$home/pictures"
  local tests=(tests/android/*Test.kt)
  # Robolectric closes Android's files by the JVM's own fields.
  java -Xmx2g --add-opens java.base/java.io=ALL-UNNAMED -Drobolectric.offline=true -Drobolectric.dependency.dir="$home/robolectric" \
    -Drobolectric.graphicsMode=NATIVE -Djna.library.path="$target/debug" -Didiolect.pictures="$home/pictures" \
    -Didiolect.history=bindings/cli/assets/history.jsonl \
    -cp "tests/android/config:$home/config:$home/classes:$home/sample:$home/r:$home/library:$home/bindings:$(<"$home/tests"):$(<"$home/framework")" \
    org.junit.runner.JUnitCore $(basename -a -s .kt "${tests[@]}")
  say "an APK"
  tests/android/pack "$home"
  say "its reference pages, by Dokka"
  mvn --batch-mode --file tests/android/pom.xml -Dmaven.repo.local="$home/maven" -Dhome="$home" dokka:dokka \
    >"$home/dokka.log" || die "Dokka failed: see $home/dokka.log"
  python3 tests/android/documented.py "$home/dokka.log"
}
