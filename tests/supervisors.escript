#!/usr/bin/env escript
%%! +S 1:1
%% Builds supervision trees out of OTP's own supervisor, lets things happen to them, and prints what is left each time.
%% Called by test_supervisors_like_otp.py, with a file of programs: [{Top, [Step]}].
-mode(compile).
-export([main/1, init/1, start_supervisor/1, start_worker/1]).

main([Path]) ->
    logger:set_primary_config(level, none),
    process_flag(trap_exit, true),
    ets:new(workers, [named_table, public]),
    {ok, [Programs]} = file:consult(Path),
    [run(Top, Steps) || {Top, Steps} <- Programs].

run({_, _, _, Flags, Children}, Steps) ->
    ets:delete_all_objects(workers),
    {ok, Top} = start_supervisor({Flags, Children}),
    io:put_chars(lists:join(";", [after_step(Top, Step) || Step <- Steps])),
    io:nl(),
    exit(Top, shutdown),
    receive {'EXIT', Top, _} -> ok end.

after_step(Top, Step) ->
    Result = try act(Top, Step) catch throw:absent -> absent; exit:{noproc, _} -> absent end,
    io_lib:format("~w ~w ~w", [Result, settled(Top, none), lists:sort(ets:match_object(workers, {{up, '_'}, '_'}))]).

%% Children

init({{Strategy, Intensity, AutoShutdown}, Children}) ->
    Flags = #{strategy => Strategy, intensity => Intensity, period => 3600, auto_shutdown => AutoShutdown},
    {ok, {Flags, [spec(Child) || Child <- Children]}}.

spec({Name, Restart, Significant, Flags, Children}) ->
    #{id => Name, restart => Restart, significant => Significant, type => supervisor,
      start => {?MODULE, start_supervisor, [{Flags, Children}]}};
spec({Name, Restart, Significant}) ->
    #{id => Name, restart => Restart, significant => Significant, start => {?MODULE, start_worker, [Name]}}.

start_supervisor(Args) ->
    supervisor:start_link(?MODULE, Args).

start_worker(Name) ->
    case ets:update_counter(workers, {fails, Name}, {2, -1, -1, -1}, {{fails, Name}, 0}) of
        -1 ->
            ets:update_counter(workers, {up, Name}, 1, {{up, Name}, 0}),
            {ok, spawn_link(fun() -> receive {leave, Reason} -> exit(Reason) end end)};
        _ ->
            {error, failed}
    end.

%% What happens

act(Top, {leave, Path, Reason}) ->
    Pid = find(Top, Path),
    Ref = monitor(process, Pid),
    case Reason of
        killed -> exit(Pid, kill);
        _ -> Pid ! {leave, Reason}
    end,
    receive {'DOWN', Ref, process, Pid, _} -> ok end;
act(_, {fail, Name, Times}) ->
    ets:insert(workers, {{fails, Name}, Times}),
    ok;
act(Top, {start, Path, Child}) ->
    result(supervisor:start_child(find(Top, Path), spec(Child)));
act(Top, {What, Path, Id}) ->
    result(supervisor:What(find(Top, Path), Id)).

find(Top, Path) ->
    lists:foldl(fun(Id, Supervisor) ->
                        case lists:keyfind(Id, 1, children(Supervisor)) of
                            {Id, Pid, _, _} when is_pid(Pid) -> Pid;
                            _ -> throw(absent)
                        end
                end, Top, Path).

result({ok, _}) -> ok;
result({error, {already_started, _}}) -> already_started;
result({error, {bad_combination, _}}) -> bad_combination;
result({error, {failed, _}}) -> failed;
result({error, {{shutdown, _}, _}}) -> failed;
result({error, {shutdown, _}}) -> failed;
result({error, Reason}) -> Reason;
result(ok) -> ok.

%% What is left

settled(Top, Before) ->
    receive after 2 -> ok end,
    case seen(Top, supervisor) of
        Before -> Before;
        Now -> settled(Top, Now)
    end.

seen(undefined, _) -> down;
seen(restarting, _) -> restarting;
seen(_, worker) -> up;
seen(Pid, supervisor) ->
    case is_process_alive(Pid) of
        true ->
            try [{Id, seen(Child, Type)} || {Id, Child, Type, _} <- lists:reverse(children(Pid))]
            catch throw:absent -> down
            end;
        false -> down
    end.

children(Pid) ->
    try supervisor:which_children(Pid) catch exit:_ -> throw(absent) end.
