#!/bin/sh
# Runs a Trino cluster of a coordinator and two workers on this machine, for tests:
#
#	trino.sh start DIR [PORT]    prints its URL once all three nodes are active
#	trino.sh stop DIR
#
# DIR holds configuration, data, logs and process ids, and is created if missing. The
# catalogs are memory, whose tables are lost at a stop, and tpch, which generates rows.
# The first start downloads about 100 MB from the Maven repository that mvn is set up
# for; later ones find them in ${XDG_CACHE_HOME:-~/.cache}/churn-trino. Java must be 17 to 20.
set -eu

release=435 # the last one for Java 17
cache=${XDG_CACHE_HOME:-$HOME/.cache}/churn-trino/$release

# fetch fills the cache. Not every repository has the server's archive, so the server is
# assembled from jars: trino-main lacks only a main and the list of plugins.
fetch() {
	mkdir -p "$(dirname "$cache")"
	tmp=$(mktemp -d "$cache.XXXXXX")
	trap 'rm -rf "$tmp"' EXIT
	trap 'exit 130' INT TERM
	cat >"$tmp/pom.xml" <<-EOF
		<project xmlns="http://maven.apache.org/POM/4.0.0">
		  <modelVersion>4.0.0</modelVersion>
		  <groupId>churn</groupId><artifactId>trino</artifactId><version>1</version>
		  <dependencyManagement><dependencies>
		    <dependency>
		      <groupId>io.trino</groupId><artifactId>trino-root</artifactId><version>$release</version>
		      <type>pom</type><scope>import</scope>
		    </dependency>
		  </dependencies></dependencyManagement>
		  <dependencies>
		    <dependency><groupId>io.trino</groupId><artifactId>trino-main</artifactId></dependency>
		    <dependency><groupId>io.trino</groupId><artifactId>trino-memory</artifactId></dependency>
		    <dependency><groupId>io.trino</groupId><artifactId>trino-tpch</artifactId></dependency>
		  </dependencies>
		</project>
	EOF
	mvn -B -q -ntp -f "$tmp/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$tmp/lib" >&2
	cat >"$tmp/Main.java" <<-EOF
		class Main {
		    public static void main(String[] args) { new io.trino.server.Server().start("$release"); }
		}
	EOF
	javac -cp "$tmp/lib/*" -d "$tmp/lib/classes" "$tmp/Main.java"
	mkdir -p "$tmp/lib/classes/META-INF/services" "$tmp/plugin"
	printf '%s\n' io.trino.plugin.memory.MemoryPlugin io.trino.plugin.tpch.TpchPlugin \
		>"$tmp/lib/classes/META-INF/services/io.trino.spi.Plugin"
	ln -s ../lib "$tmp/plugin/all" # a plugin loads classes from its own folder only; both need nearly the same jars
	mv -T "$tmp" "$cache" 2>/dev/null || [ -d "$cache" ] # a concurrent start may have been first
}

# node NAME PORT HEAP [LINE...] starts one JVM, with the LINEs added to its configuration.
node() {
	name=$1 port=$2 heap=$3
	shift 3
	home=$dir/$name
	mkdir -p "$home/etc/catalog"
	printf '%s\n' connector.name=memory memory.max-data-per-node=400MB >"$home/etc/catalog/memory.properties"
	printf '%s\n' connector.name=tpch >"$home/etc/catalog/tpch.properties"
	printf '%s\n' io.trino=WARN io.airlift=WARN >"$home/etc/log.properties"
	cat >"$home/etc/config.properties" <<-EOF
		node.environment=test
		node.id=$name
		node.bind-ip=127.0.0.1
		node.internal-address=127.0.0.1
		node.external-address=127.0.0.1
		http-server.http.port=$port
		discovery.uri=$url
		plugin.dir=$cache/plugin
		catalog.config-dir=$home/etc/catalog
		query.max-memory=800MB
		query.max-memory-per-node=400MB
		memory.heap-headroom-per-node=200MB
	EOF
	[ $# = 0 ] || printf '%s\n' "$@" >>"$home/etc/config.properties"
	(
		cd "$home"
		exec java -Xmx"$heap" -XX:+UseG1GC -XX:+ExitOnOutOfMemoryError -XX:-OmitStackTraceInFastThrow \
			-XX:ReservedCodeCacheSize=256M -XX:PerMethodRecompilationCutoff=10000 -XX:PerBytecodeRecompilationCutoff=10000 \
			-Djdk.attach.allowAttachSelf=true -Djdk.nio.maxCachedBufferSize=2000000 -Dfile.encoding=UTF-8 \
			-Dconfig="$home/etc/config.properties" -Dlog.levels-file="$home/etc/log.properties" -Dlog.enable-console=true \
			-cp "$cache/lib/classes:$cache/lib/*" Main >log 2>&1 </dev/null
	) &
	echo $! >"$home/pid"
}

# active counts the nodes that accept queries. A query's result comes in pages, each naming the next.
active() {
	next=$url/v1/statement
	set -- -H 'X-Trino-User: test' --data "SELECT 'node', node_id FROM system.runtime.nodes WHERE state = 'active'"
	while [ -n "$next" ]; do
		page=$(curl -fs --max-time 10 "$@" "$next") || break
		printf '%s\n' "$page"
		set --
		next=$(printf '%s' "$page" | sed -n 's/.*"nextUri":"\([^"]*\)".*/\1/p')
	done | grep -o '\["node",' | wc -l
}

# running reports whether the node's process exists and is the one that start created.
running() { # folder of the node
	[ -f "$1/pid" ] && ps -ww -o args= -p "$(cat "$1/pid")" 2>/dev/null | grep -qF -- "-Dconfig=$1/etc/config.properties"
}

stop() {
	for home in "$dir"/*/; do
		home=${home%/}
		running "$home" || continue
		kill "$(cat "$home/pid")"
		for _ in $(seq 50); do
			running "$home" || break
			sleep 0.2
		done
		! running "$home" || kill -9 "$(cat "$home/pid")"
	done
	rm -f "$dir"/*/pid
}

start() {
	for name in coordinator worker1 worker2; do
		! running "$dir/$name" || {
			echo "$dir: a cluster is running; stop it first: $0 stop $dir" >&2
			exit 1
		}
	done
	[ -d "$cache" ] || fetch
	node coordinator "$port" 1536m coordinator=true node-scheduler.include-coordinator=false
	node worker1 0 1g coordinator=false # port 0: any free one
	node worker2 0 1g coordinator=false
	for _ in $(seq 120); do
		for name in coordinator worker1 worker2; do
			running "$dir/$name" || {
				stop
				tail -n 30 "$dir/$name/log" >&2
				echo "$name ended: see $dir/$name/log" >&2
				exit 1
			}
		done
		if [ "$(active)" -eq 3 ]; then
			echo "$url"
			exit
		fi
		sleep 1
	done
	stop
	echo "the three nodes were not active within two minutes: see $dir/*/log" >&2
	exit 1
}

[ $# -ge 2 ] || { echo "usage: $0 start DIR [PORT] | stop DIR" >&2; exit 2; }
mkdir -p "$2"
dir=$(cd "$2" && pwd)
port=${3:-8085}
url=http://127.0.0.1:$port
case $1 in
start) start ;;
stop) stop ;;
*) echo "$0: $1: expected start or stop" >&2; exit 2 ;;
esac
