# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# For the suites' prepare: where they come from.

# debian_source PACKAGE: unpack Debian's source here, and print its version.
debian_source() {
	local apt=(-o "Dir::State::lists=$PWD/lists" -o "Dir::Cache=$PWD/cache"
		-o APT::Sandbox::User=root -o Acquire::Check-Valid-Until=false)

	mkdir -p lists/partial cache
	apt-get "${apt[@]}" update >&2
	apt-get "${apt[@]}" source "$1" >&2
	rm -rf lists cache
	dpkg-parsechangelog -l "$1"-*/debian/changelog -S Version
}

# crate_source NAME VERSION: unpack a crate here, as NAME.
crate_source() {
	mkdir -p "fetch-$1/src"
	: >"fetch-$1/src/lib.rs"
	printf '[package]\nname = "fetch"\nversion = "0.0.0"\nedition = "2021"\n[dependencies]\n%s = "=%s"\n' \
		"$1" "$2" >"fetch-$1/Cargo.toml"
	(cd "fetch-$1" && cargo vendor --quiet >/dev/null)
	cp -r "fetch-$1/vendor/$1" "$1"
	rm -rf "fetch-$1" "$1/.cargo-checksum.json"
}

# packaged NAME: the version of an installed package.
packaged() {
	dpkg-query -W -f '${Version}' "$1"
}

# crate_tests NAME VERSION DIR WHICH...: build a crate's own tests, those that the
# options WHICH name, into DIR.
crate_tests() {
	local file

	cd "$3" || return
	[[ -d $1 ]] || crate_source "$1" "$2"
	CARGO_PROFILE_TEST_DEBUG=0 CARGO_PROFILE_DEV_DEBUG=0 CARGO_TARGET_DIR=$3/target \
		cargo test --quiet --no-run --manifest-path "$1/Cargo.toml" "${@:4}" >&2
	mkdir -p "$3/tests"
	for file in "$3"/target/debug/deps/*; do
		if [[ -f $file && -x $file && $file != *.so ]]; then
			file=${file##*/}
			cp "$3/target/debug/deps/$file" "$3/tests/${file%-*}"
		fi
	done
	rm -rf "$3/target"
	echo "$1 $2" >"$3/version"
}
