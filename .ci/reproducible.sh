#!/bin/sh
# Makes the archive of the last commit for this platform twice, in two folders and the second time
# with a build cache of their own for its binaries, prints the hashes and fails if the bytes differ.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

build() { # folder
	git clone -q . "$tmp/$1/churn"
	make -s -C "$tmp/$1/churn" dist PLATFORMS="$(go env GOOS)/$(go env GOARCH)"
}

build here >"$tmp/first"
BINCACHE="$tmp/cache" build some/where/else >"$tmp/second"
cat "$tmp/first"
diff "$tmp/first" "$tmp/second" && echo "the same bytes twice"

# Without a network: from the copies of the libraries that go mod vendor makes.
cd "$tmp/here/churn"
go mod vendor
GOFLAGS="$(go env GOFLAGS) -mod=vendor" GOPROXY=off GOMODCACHE="$tmp/none" make -s build
bin/rollback -V
