#!/usr/bin/env escript
%% -*- erlang -*-
%% Runs scripted state machines on OTP's own gen_statem, and prints which calls each has got.
%%
%% The file it is given holds a list of programs {StateEnter, Answers, Casts}. The n-th call of a machine gets the n-th
%% answer, {State | keep | repeat, Data | keep, Actions}, and keep after the last.

-mode(compile).
-export([init/1, callback_mode/0, handle_event/4]).

main([File]) ->
    {ok, [Programs]} = file:consult(File),
    lists:foreach(fun(Program) -> io:format("~s~n", [lists:join(";", run(Program))]) end, Programs).

run({StateEnter, Answers, Casts}) ->
    {ok, Machine} = gen_statem:start(?MODULE, {StateEnter, Answers}, []),
    lists:foreach(fun(Cast) -> gen_statem:cast(Machine, Cast) end, Casts),
    gen_statem:call(Machine, calls).

init({StateEnter, Answers}) ->
    put(answers, Answers),
    put(calls, []),
    persistent_term:put(state_enter, StateEnter),
    {ok, a, 0}.

callback_mode() ->
    case persistent_term:get(state_enter) of
        true -> [handle_event_function, state_enter];
        false -> handle_event_function
    end.

handle_event({call, From}, calls, _State, _Data) ->
    {stop_and_reply, normal, {reply, From, lists:reverse(get(calls))}};
handle_event(Type, Content, State, Data) ->
    put(calls, [io_lib:format("~0p ~0p ~0p ~0p", [Type, Content, State, Data]) | get(calls)]),
    answer(Type, Data, next_answer()).

next_answer() ->
    case get(answers) of
        [] -> {keep, keep, []};
        [Answer | Answers] -> put(answers, Answers), Answer
    end.

answer(enter, Data, {repeat, New, Actions}) -> {repeat_state, data(New, Data), allowed(Actions)};
answer(enter, Data, {_State, New, Actions}) -> {keep_state, data(New, Data), allowed(Actions)};
answer(_Type, Data, {repeat, New, Actions}) -> {repeat_state, data(New, Data), Actions};
answer(_Type, Data, {keep, New, Actions}) -> {keep_state, data(New, Data), Actions};
answer(_Type, Data, {State, New, Actions}) -> {next_state, State, data(New, Data), Actions}.

data(keep, Data) -> Data;
data(New, _Data) -> New.

%% What a state enter call may do.
allowed(Actions) ->
    [Action || Action <- Actions, Action =/= {postpone, true}, element(1, Action) =/= next_event].
