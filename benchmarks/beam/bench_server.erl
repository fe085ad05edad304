%% The gen_server that the call cases call: it answers with the number it was asked with, as `EchoServer` in workers.py.
-module(bench_server).
-behaviour(gen_server).
-export([start/0]).
-export([init/1, handle_call/3, handle_cast/2]).

start() -> gen_server:start(?MODULE, [], []).

init([]) -> {ok, []}.

handle_call({ping, Number}, _From, State) -> {reply, Number, State}.

handle_cast(_Message, State) -> {noreply, State}.
