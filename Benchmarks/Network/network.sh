# The network that is measured, and who decides its packets: for `run` and `profile`, which set `bin`.
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
work=$(mktemp -d /tmp/npflua-bench.XXXXXX)
client=npflua-client-$$ firewall=npflua-firewall-$$ server=npflua-server-$$
address=198.51.100.2 queue=2014 length=1024
owner=

cleanup() {
	stop
	for ns in $client $firewall $server; do
		ip netns pids "$ns" 2>/dev/null | xargs -r kill 2>/dev/null || true
		ip netns del "$ns" 2>/dev/null || true
	done
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

# The network: a client, this box, a server. The client shares no core with what filters. Who greets connections has the
# filter's cores: left to choose, the scheduler has it with the client in one run and not in the next, and half as many
# connections are made. Who answers requests has the client's, which waits for the answer meanwhile.
on_client() { ip netns exec $client taskset -c "$sending" "$@"; }
on_server() { ip netns exec $server "$@"; }
on_firewall() { ip netns exec $firewall "$@"; }
sending=0 filtering=1
[ "$(nproc)" -gt 2 ] && filtering=1,2

build_network() {
	local ns end interface own processors what port
	for ns in $client $firewall $server; do
		ip netns add "$ns"
		ip netns exec "$ns" sysctl -qw net.ipv6.conf.all.disable_ipv6=1
		ip -n "$ns" link set lo up
	done
	ip -n $firewall link add inside type veth peer name eth0 netns $client
	ip -n $firewall link add outside type veth peer name eth0 netns $server
	for end in "$client eth0 192.0.2.2" "$firewall inside 192.0.2.1" "$firewall outside 198.51.100.1" \
		"$server eth0 $address"; do
		read -r ns interface own <<<"$end"
		ip -n "$ns" address add "$own/24" dev "$interface"
		ip -n "$ns" link set "$interface" up
	done
	# Several, so that two workers have something to share.
	for end in 3 4 5 6 7 8 9; do ip -n $server address add 198.51.100.$end/24 dev eth0; done
	ip -n $client route add default via 192.0.2.1
	ip -n $server route add default via 198.51.100.1
	on_firewall sysctl -qw net.ipv4.ip_forward=1
	# Connections that are over leave the table before it is full of them.
	on_firewall sysctl -qw net.netfilter.nf_conntrack_tcp_timeout_close=1

	on_server iperf3 -s -p 22 -D >/dev/null
	for end in "$filtering sink 9" "$sending echo 7" "$filtering banner 2222"; do
		read -r processors what port <<<"$end"
		ip netns exec $server taskset -c "$processors" "$work/traffic" "$what" "$port" &
		disown
	done
	sleep 0.5
}

# What is measured.
write_configurations() {
	mkdir "$work/npf"
	cat >"$work/npf/filter.lua" <<'LUA'
function filter(hdr, pld)
  local seg = pld:segment(0, 255)
  local software = tostring(seg):match('SSH%-[^-%G]+%-([^-%G]+)')
  return software ~= 'OpenSSH_6.4'
end
LUA
	cat >"$work/ssh.conf" <<'CONF'
set queue.workers 1
procedure "ssh" { lua: call filter, payload, inspect 255 }
group default {
	pass all
	pass in proto tcp from any port 22 apply "ssh"
	pass in proto tcp from any port 2222 apply "ssh"
}
CONF
	cat >"$work/lua.conf" <<'CONF'
set queue.workers 1
procedure "p" { lua: call filter }
group default {
	pass in all apply "p"
	pass out all
}
CONF
	sed 's/workers 1/workers 2/' "$work/lua.conf" >"$work/two.conf"
	{
		printf 'set queue.workers 2\nprocedure "p" { lua: call filter }\ngroup default {\n\tpass all\n'
		for port in $(seq 99); do printf '\tpass in proto tcp to any port %d apply "p"\n' "$((5000 + port))"; done
		printf '\tpass in proto udp to any port 7 apply "p"\n}\n'
	} >"$work/hundred.conf"
}

# Who owns the queue: `none`, or `track` where only connections are tracked; a configuration of the daemon; or another
# program under the rules that the daemon made for the configuration `lua`: the C `loop`, `calm` where it sleeps a moment
# when the queue is empty, `script` where it asks the same script; and `least`, the C loop under one rule, which hands it
# nothing but banners.
start() { # WHO
	case $1 in
	none) return ;;
	track)
		on_firewall iptables -t mangle -A PREROUTING -m conntrack --ctstate INVALID -j ACCEPT
		return
		;;
	loop | calm | script | python)
		on_firewall iptables-restore <"$work/rules.iptables"
		[ ! -s "$work/rules.nft" ] || on_firewall nft -f "$work/rules.nft"
		;;&
	least)
		on_firewall iptables -t mangle -A PREROUTING -p tcp -m tcp --sport 2222 -m length --length 65:65535 \
			-j NFQUEUE --queue-num $queue
		;;&
	loop | least) launch "$work/accept_all" $queue $length & ;;
	calm) launch "$work/accept_all" $queue $length 65535 closed 100 & ;;
	script) launch "$work/accept_all" $queue $length 65535 closed 0 "$work/npf/filter.lua" & ;;
	python) launch "$work/venv/bin/python" "$here/accept_all.py" $queue $length & ;;
	*) launch "$bin/npfluad" --config "$work/$1.conf" --scripts "$work/npf" --socket "$work/control.sock" \
		--log-level error & ;;
	esac
	owner=$!
	until on_firewall grep -q "^ *$queue " /proc/net/netfilter/nfnetlink_queue; do
		kill -0 "$owner" && sleep 0.02 || exit 1
	done
	case $1 in
	loop | calm | script | least | python) return ;;
	esac
	until ctl stats >/dev/null 2>&1; do sleep 0.02; done
	[ "$1" != lua ] || {
		# Without the chains that nobody uses: each costs every packet that goes through its hook.
		on_firewall iptables-save | grep -vE '^:(INPUT|FORWARD|OUTPUT) ' >"$work/rules.iptables"
		on_firewall nft list table inet npflua >"$work/rules.nft" 2>/dev/null || true
	}
}
# With a `gate`, a pipe, the program begins once something is written there: all that comes before is not its own.
gate=
launch() {
	[ -z "$gate" ] || set -- sh -c 'read -r _ <"$0"; exec "$@"' "$gate" "$@"
	exec ip netns exec $firewall taskset -c "$filtering" "$@"
}
ctl() { "$bin/npfctl" --socket "$work/control.sock" "$@"; }
stop() {
	[ -z "$owner" ] || { kill "$owner" 2>/dev/null && wait "$owner"; } || true
	owner=
	# With the table its chains go as well: where there is no rule nothing is asked.
	on_firewall nft delete table ip mangle 2>/dev/null || on_firewall iptables -t mangle -F 2>/dev/null || true
	on_firewall nft delete table inet npflua 2>/dev/null || true
}
# The processor time that the queue's owner has used, a line for each of its threads, and for the kernel's own threads: they
# resize the table in which a queue keeps its packets, in turns with the owner, and the scheduler's books give them some of
# the owner's time.
used() {
	local thread
	for thread in /proc/"$owner"/task/* $(pgrep '^kworker/[0-9]' | sed 's|^|/proc/|'); do
		echo "$thread $(cat "$thread/schedstat" 2>/dev/null)"
	done
}
# Nanoseconds that were used from one time to another; a thread that has ended in between has no more.
spent() { # BEFORE AFTER
	awk 'NR == FNR { before[$1] = $2; next } NF > 1 { sum += $2 - before[$1] } END { printf "%.0f", sum }' \
		<(echo "$1") <(echo "$2")
}
# Packets that have come to the server.
delivered() { ip -n $server -s -j link show eth0 | grep -o '"rx":{"bytes":[0-9]*,"packets":[0-9]*' | grep -o '[0-9]*$'; }

cc -O2 -Wall -Wextra -o "$work/traffic" "$here/traffic.c"
cc -O2 -Wall -Wextra -o "$work/accept_all" "$here/accept_all.c" "$here/script.c" $(pkg-config --cflags --libs lua5.4)
write_configurations
build_network
