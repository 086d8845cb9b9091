#!/bin/sh
# Writes the archives of a release to dist/: the seven binaries for each platform with completions, manual
# pages, the licences of all that is linked, docs/, deploy/ and retrain.sh; the list of all parts (SBOM,
# CycloneDX); and the checksums. The same commit gives the same bytes.
#
#     make dist PLATFORMS="linux/amd64 windows/amd64"    # all six by default
set -eu
cd "$(dirname "$0")/.."
version=$(git describe --tags --always --dirty)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) # for help2man
export SOURCE_DATE_EPOCH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -rf dist
mkdir dist
make -s completions man

# licences OS FOLDER: copies the licences of the modules that the binaries have, and Go's.
licences() {
	cp "$(go env GOROOT)/LICENSE" "$2/go.txt"
	GOOS=$1 CGO_ENABLED=0 go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Dir}}{{end}}{{end}}' ./cmd/... |
		sort -u | while read -r module dir; do
		found=false
		for file in "$dir"/LICEN[SC]E* "$dir"/COPYING* "$dir"/NOTICE*; do
			[ -f "$file" ] || continue
			found=true
			cp "$file" "$2/$(echo "$module" | tr / -)-$(basename "$file" .md | tr A-Z a-z | sed 's/\.txt$//').txt"
		done
		$found || { echo "$module has no licence" >&2; exit 1; }
	done
}

for platform in ${PLATFORMS:-linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64}; do
	os=${platform%/*}
	name=churn_${version}_${os}_${platform#*/}
	mkdir -p "$work/$name/bin" "$work/$name/cmd" "$work/$name/licences"
	eval "GOCACHE='${BINCACHE:-$(go env GOCACHE)}' GOOS=$os GOARCH=${platform#*/} $GO_BUILD -buildvcs=true -o '$work/$name/bin/' ./cmd/..."
	licences "$os" "$work/$name/licences"
	cp -R bin/completions bin/man docs deploy README.md LICENSE "$work/$name/"
	cp cmd/retrain.sh "$work/$name/cmd/"
	chmod -R u=rwX,go=rX "$work/$name"
	tar -C "$work" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner -cf - "$name" |
		gzip -n >"dist/$name.tar.gz"
done
go tool -modfile=.ci/tools/go.mod cyclonedx-gomod mod -json -noserial -notimestamp -std -licenses -type application \
	-output "dist/churn_$version.cdx.json" . 2>"$work/sbom" || { cat "$work/sbom" >&2; exit 1; }
(cd dist && sha256sum -- * >SHA256SUMS)
cat dist/SHA256SUMS
