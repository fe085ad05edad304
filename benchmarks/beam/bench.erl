%% The BEAM's half of the benchmarks: the same work as workers.py, local_cases.py and remote_cases.py, function by function.
%%
%%   erl ... -run bench drive Case Count [EchoNode]     does the case and prints `amount N`: nanoseconds, or bytes
%%   erl ... -run bench echo_node                       is the second node of the remote cases
-module(bench).
-export([drive/1, echo_node/0]).

%% Each case runs twice: a tenth of the count as a warm-up, then the one that is measured.
drive([Name, Digits | EchoNode]) ->
    Case = 'case'(list_to_existing_atom(Name), [list_to_atom(Node) || Node <- EchoNode]),
    Count = list_to_integer(Digits),
    Case(Count div 10 + 1),
    io:format("amount ~b~n", [Case(Count)]),
    halt().

'case'(local_pingpong_per_s, []) -> fun local_pingpong/1;
'case'(local_oneway_per_s, []) -> fun local_oneway/1;
'case'(local_call_per_s, []) -> fun local_call/1;
'case'(spawn_per_s, []) -> fun spawn_many/1;
'case'(spawn_monitor_exit_per_s, []) -> fun spawn_monitor_exit/1;
'case'(process_bytes, []) -> fun process_bytes/1;
'case'(remote_rtt_us, [Node]) -> fun(Count) -> remote_rtt(Node, Count) end;
'case'(remote_call_us, [Node]) -> fun(Count) -> remote_call(Node, Count) end;
'case'(remote_rpc_us, [Node]) -> fun(Count) -> remote_rpc(Node, Count) end;
'case'(remote_oneway_int_per_s, [Node]) -> fun(Count) -> remote_ints(Node, Count) end;
'case'(remote_oneway_map_per_s, [Node]) ->
    Map = #{<<"a">> => 1, <<"b">> => <<"hello world">>, <<"c">> => [1, 2, 3], <<"d">> => 3.14},
    fun(Count) -> remote_oneway(Node, Count, Map) end;
'case'(remote_oneway_message_per_s, [Node]) ->
    fun(Count) -> remote_oneway(Node, Count, {reading, <<"temperature">>, 21.5, 1764061200}) end;
'case'(remote_oneway_1k_per_s, [Node]) ->
    fun(Count) -> remote_oneway(Node, Count, binary:copy(<<"x">>, 1024)) end;
'case'(remote_1m_MB_per_s, [Node]) ->
    fun(Count) -> remote_bursts(Node, Count, binary:copy(<<"x">>, 1024 * 1024)) end;
'case'(remote_call_50_per_s, [Node]) -> fun(Count) -> remote_call_50(Node, Count) end.

%% ---- one node

local_pingpong(Count) ->
    Pong = spawn(fun() -> echo(Count) end),
    timed(fun() -> round_trips(Pong, Count) end).

local_oneway(Count) ->
    Sink = spawn(fun() -> sink(Count) end),
    timed(fun() -> stream_ints(Sink, Count) end).

local_call(Count) ->
    {ok, Server} = bench_server:start(),
    timed(fun() -> calls(Server, Count) end).

spawn_many(Count) ->
    timed(fun() ->
        Spawner = self(),
        spawn_nothings(Count - 1),
        spawn(fun() -> Spawner ! done end),
        receive done -> ok end
    end).

spawn_nothings(0) -> ok;
spawn_nothings(Count) -> spawn(fun nothing/0), spawn_nothings(Count - 1).

spawn_monitor_exit(Count) -> timed(fun() -> watch_nothings(Count) end).

watch_nothings(0) -> ok;
watch_nothings(Count) ->
    {_, Ref} = spawn_monitor(fun nothing/0),
    receive {'DOWN', Ref, process, _, _} -> watch_nothings(Count - 1) end.

%% The idle processes of the warm-up stay, so that the measured ones can't live in memory that it left behind.
process_bytes(Count) ->
    Before = resident_bytes(),
    spawn_idle(self(), Count),
    take(Count),
    resident_bytes() - Before.

spawn_idle(_, 0) -> ok;
spawn_idle(Driver, Count) -> spawn(fun() -> idle(Driver) end), spawn_idle(Driver, Count - 1).

resident_bytes() ->
    {ok, Status} = file:read_file("/proc/self/status"),
    {match, [Kilobytes]} = re:run(Status, "VmRSS:\\s+(\\d+) kB", [{capture, all_but_first, list}]),
    list_to_integer(Kilobytes) * 1024.

%% ---- two nodes

remote_rtt(Node, Count) ->
    Echo = ask(Node, echo, Count),
    timed(fun() -> round_trips(Echo, Count) end).

remote_call(Node, Count) ->
    Server = ask(Node, server, Count),
    timed(fun() -> calls(Server, Count) end).

remote_rpc(Node, Count) ->
    timed(fun() -> remote_procedure_calls(Node, Count) end).

remote_procedure_calls(_, 0) ->
    ok;
remote_procedure_calls(Node, Count) ->
    Count = erpc:call(Node, erlang, abs, [Count], 5000),
    remote_procedure_calls(Node, Count - 1).

remote_ints(Node, Count) ->
    Sink = ask(Node, sink, Count),
    timed(fun() -> stream_ints(Sink, Count) end).

remote_oneway(Node, Count, Message) ->
    Sink = ask(Node, sink, Count),
    timed(fun() -> stream_copies(Sink, Message, Count) end).

remote_bursts(Node, Count, Message) ->
    Sizes = [min(50, Count - Begun) || Begun <- lists:seq(0, Count - 1, 50)],
    Sinks = [{ask(Node, sink, Size), Size} || Size <- Sizes],
    timed(fun() -> [stream_copies(Sink, Message, Size) || {Sink, Size} <- Sinks] end).

remote_call_50(Node, Count) ->
    Server = ask(Node, server, Count),
    timed(fun() ->
        Callers = [spawn_monitor(fun() -> calls(Server, Count div 50) end) || _ <- lists:seq(1, 50)],
        [ended(Ref) || {_, Ref} <- Callers]
    end).

%% A process of the echo node that does `Kind`, `Count` times where it has an end.
ask(Node, Kind, Count) ->
    {bench, Node} ! {Kind, self(), Count},
    receive Pid when is_pid(Pid) -> Pid after 5000 -> exit(no_answer) end.

echo_node() ->
    register(bench, spawn(fun service/0)),
    io:format("ready~n").

service() ->
    receive {Kind, Driver, Count} -> Driver ! start_worker(Kind, Count) end,
    service().

start_worker(echo, Count) -> spawn(fun() -> echo(Count) end);
start_worker(sink, Count) -> spawn(fun() -> sink(Count) end);
start_worker(server, _) -> {ok, Server} = bench_server:start(), Server.

%% ---- what the processes do

echo(0) -> ok;
echo(Count) -> receive {Sender, Number} -> Sender ! Number end, echo(Count - 1).

round_trips(Partner, Count) -> round_trips(Partner, 0, Count).

round_trips(_, Count, Count) -> ok;
round_trips(Partner, Number, Count) ->
    Partner ! {self(), Number},
    receive _ -> round_trips(Partner, Number + 1, Count) end.

sink(Count) -> receive Sender -> take(Count), Sender ! done end.

stream_ints(Sink, Count) ->
    Sink ! self(),
    send_ints(Sink, 0, Count),
    receive done -> ok end.

send_ints(_, Count, Count) -> ok;
send_ints(Sink, Number, Count) -> Sink ! Number, send_ints(Sink, Number + 1, Count).

stream_copies(Sink, Message, Count) ->
    Sink ! self(),
    send_copies(Sink, Message, Count),
    receive done -> ok end.

send_copies(_, _, 0) -> ok;
send_copies(Sink, Message, Count) -> Sink ! Message, send_copies(Sink, Message, Count - 1).

calls(Server, Count) -> calls(Server, 0, Count).

calls(_, Count, Count) -> ok;
calls(Server, Number, Count) ->
    Number = gen_server:call(Server, {ping, Number}),
    calls(Server, Number + 1, Count).

nothing() -> ok.

idle(Driver) -> Driver ! ready, receive _ -> ok end.

take(0) -> ok;
take(Count) -> receive _ -> take(Count - 1) end.

timed(Work) ->
    Start = erlang:monotonic_time(nanosecond),
    {_, Ref} = spawn_monitor(Work),
    ended(Ref),
    erlang:monotonic_time(nanosecond) - Start.

ended(Ref) -> receive {'DOWN', Ref, process, _, normal} -> ok; {'DOWN', Ref, process, _, Reason} -> exit(Reason) end.
