%% What exit signals and aliases do in Erlang: one line for each scenario, `what = what came of it`.
%% tests/test_signals_of_erlang.py asks pydist the same.

main(_) ->
    [print([How, Reason, trapping(T)], exit_signal(How, Reason, T))
     || How <- [link, inactive_link, exit, itself],
        Reason <- [normal, kill, killed, shutdown, noproc, noconnection, boom],
        T <- [false, true]],
    [print([Mode | Events], alias_life(Mode, Events))
     || Mode <- [alias, reply, explicit_unalias, demonitor, reply_demonitor],
        Events <- sequences(3)].

print(Words, Outcome) ->
    io:format("~ts = ~ts~n", [lists:join(" ", [atom_to_list(W) || W <- Words]), Outcome]).

trapping(true) -> trapping;
trapping(false) -> plain.

%% Exit signals

exit_signal(How, Reason, Trapping) ->
    Main = self(),
    {Victim, Ref} = spawn_monitor(fun() -> process_flag(trap_exit, Trapping), Main ! ready, victim(Main) end),
    receive ready -> ok end,
    {_, Partner} = spawn_monitor(fun() -> partner(How, Reason, Victim) end),
    receive {'DOWN', Partner, _, _, _} -> ok end,
    Victim ! dropped,
    receive
        {'DOWN', Ref, _, _, Why} -> io_lib:format("dies ~p", [Why]);
        {Victim, Answer} -> demonitor(Ref, [flush]), Answer
    end.

victim(Main) ->
    receive
        {do, F, Asker} -> F(), settle(), Asker ! done, victim(Main);
        {'EXIT', _, Reason} -> Main ! {self(), io_lib:format("gets ~p", [Reason])};
        dropped -> Main ! {self(), "dropped"}
    end.

partner(link, Reason, Victim) -> link(Victim), exit(Reason);
partner(inactive_link, Reason, Victim) -> link(Victim), unlink(Victim), exit(Reason);
partner(exit, Reason, Victim) -> exit(Victim, Reason);
partner(itself, Reason, Victim) ->
    Ref = monitor(process, Victim),
    Victim ! {do, fun() -> exit(self(), Reason) end, self()},
    receive done -> ok; {'DOWN', Ref, _, _, _} -> ok end.

%% Aliases

sequences(0) -> [[]];
sequences(N) ->
    Shorter = sequences(N - 1),
    Shorter ++ [[E | S] || E <- [send, unalias, demonitor, down], S <- Shorter, length(S) =:= N - 1].

alias_life(Mode, Events) ->
    Target = spawn(fun() -> receive never -> ok end end),
    Alias = open(Mode, Target),
    Results = [do(E, Alias, Target) || E <- Events],
    Left = drain(),
    exit(Target, kill),
    drain(),
    lists:join(" ", Results ++ ["|"] ++ Left).

open(alias, _) -> alias();
open(reply, _) -> alias([reply]);
open(Mode, Target) -> monitor(process, Target, [{alias, Mode}]).

do(send, Alias, _) -> Alias ! message, settle(), "send";
do(unalias, Alias, _) -> atom_to_list(unalias(Alias));
do(demonitor, Alias, _) -> atom_to_list(demonitor(Alias, [info]));
do(down, _, Target) ->
    Ref = monitor(process, Target),
    exit(Target, kill),
    receive {'DOWN', Ref, _, _, _} -> ok end,
    settle(),
    "down".

%% Let what is under way be received: the rules speak of that moment.
settle() -> receive after 1 -> ok end.

drain() ->
    receive
        message -> ["message" | drain()];
        {'DOWN', _, _, _, Reason} -> [atom_to_list(Reason) | drain()]
    after 1 -> []
    end.
