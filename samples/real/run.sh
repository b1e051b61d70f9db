#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# run.sh [TIMES [WORD]]: run programs of others in the guest, TIMES (100) times
# each on tmpfs and on snapmapfs, and change a file of theirs while they have it
# mapped. With WORD only the lines that have it. Count what
# goes wrong: a program dies, or its output is not that of the file it mapped.
#
# samples/real/run starts it. The exit status is 0 if nothing went wrong on
# snapmapfs with the programs that map privately.

here=$(dirname "$0")
real=${REAL:-/add}
times=${1:-100}
only=${2-}
export LD_LIBRARY_PATH="$real/lib" PATH="$real/bin:$PATH" HOME=/tmp GIT_CONFIG_NOSYSTEM=1
bad=0

# 400 kB in lines that are all different.
awk 'BEGIN { for (i = 0; i < 12000; i++) printf "%06d the quick brown fox %04x\n", i, i * 7919 % 65536 }' >/tmp/text

# line TEXT MAPPED TMPFS SNAPMAPFS
line() {
	printf '%-42s  %-8s  %7s  %9s\n' "$@"
}

# Whether the line $text is one of those that were asked for.
wanted() {
	case $text in
	*"$only"*) ;;
	*) return 1 ;;
	esac
}

# count TEXT CHANGE ORIGINAL COMMAND...: a line of the table. In COMMAND, FILE
# stands for the file that is changed, and DIR for where it is.
count() {
	text=$1 change=$2 original=$3
	wanted || return 0
	shift 3
	for dir in /mnt/tmpfs /mnt/snap; do
		command=$(echo "$*" | sed "s|FILE|$dir/file|g; s|DIR|$dir|g")
		# shellcheck disable=SC2086 # words
		result=$("$here/during" "$times" "$original" $dir/file "$change" $command) || exit 2
		mapped=${result% *} failed=${result#* }
		[ $dir = /mnt/snap ] || left=$failed
	done
	line "$text" "$mapped" "$left" "$failed"
	[ "$mapped" = shared ] || [ "$failed" = 0 ] || bad=1
}

# shared TEXT ...: as count, and once more with the mapping made private.
shared() {
	count "$@"
	text=$1
	how=$2
	file=$3
	shift 3
	count "${text%%,*}, the same mapped privately" "$how" "$file" env LD_PRELOAD="$here/private.so" "$@"
}

# other TEXT COMMAND...: a line for something that changes files by itself.
other() {
	text=$1
	wanted || return 0
	shift
	for dir in /mnt/tmpfs /mnt/snap; do
		failed=0 n=0
		while [ $n -lt "$times" ]; do
			"$@" $dir >/dev/null 2>&1 || failed=$((failed + 1))
			n=$((n + 1))
		done
		[ $dir = /mnt/snap ] || left=$failed
	done
	line "$text" private "$left" "$failed"
	[ "$failed" = 0 ] || bad=1
}

# A process that has a library loaded while that is overwritten.
library() {
	cp "$here/../demo/librate-1.so" "$1/librate.so"
	rm -f "$1/flag"
	"$here/../demo/service" "$1/librate.so" "$1/flag" &
	service=$!
	until [ -e "$1/flag" ]; do
		kill -0 "$service" || return 2
		usleep 2000
	done
	cp "$here/../demo/librate-2.so" "$1/librate.so"
	rm "$1/flag"
	wait "$service"
}

echo "Failures of $times runs of programs whose file is changed while they have it mapped"
echo
line "program, and what was done" "mapped" "tmpfs" "snapmapfs"
line "------------------------------------------" "--------" "-------" "---------"
object=$(cat "$real/object")
cp -r "$real/repo.git" /tmp/repo.git
pack=$(echo /tmp/repo.git/objects/pack/*.pack)
mv "$pack" /tmp/pack
# Where the file is on either file system, git finds it by a link.
for dir in /mnt/tmpfs /mnt/snap; do
	cp -r /tmp/repo.git $dir/repo.git
	ln -s $dir/file "$dir/repo.git/objects/pack/$(basename "$pack")"
done
count "git cat-file, pack truncated" truncate /tmp/pack git --git-dir=DIR/repo.git cat-file blob "$object"
count "git cat-file, pack overwritten" rewrite /tmp/pack git --git-dir=DIR/repo.git cat-file blob "$object"
shared "b3sum, file truncated" truncate /tmp/text b3sum --no-names FILE
shared "b3sum, file overwritten" rewrite /tmp/text b3sum --no-names FILE
shared "ripgrep --mmap, file truncated" truncate /tmp/text rg --mmap --no-config -c fox FILE
# It does not map the file, so nothing happens to it. Tracing all of it takes long.
saved=$times times=1
count "tac (uutils 0.12), once" truncate /tmp/text coreutils tac FILE
times=$saved
other "a library, overwritten while loaded" library
other "a reader of columns, table rewritten" "$here/columns"
echo
if [ $bad = 0 ]; then
	echo "No private mapping failed on snapmapfs."
else
	echo "Private mappings FAILED on snapmapfs."
fi
exit $bad
