/* The C twin of what every message, step and spawn touches: states and queues. The rules are in Python (process.py,
 * runtime.py); for each type and function here there is one in Python that does the same, and takes its place where no
 * compiler was (speedups.py). All tests of processes run on both.
 *
 * Everything here belongs to the thread that runs the event loop, and relies on the GIL. */

#ifndef PYDIST_NATIVE_H
#define PYDIST_NATIVE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>
#include <stdbool.h>

/* A queue in a ring of pointers: O(1) at both ends, O(distance to the nearer end) in the middle. */
typedef struct {
    PyObject **items;
    Py_ssize_t head;
    Py_ssize_t len;
    Py_ssize_t cap; /* a power of two, or 0 */
} Ring;

static inline PyObject *
ring_at(const Ring *ring, Py_ssize_t index)
{
    return ring->items[(ring->head + index) & (ring->cap - 1)];
}

int ring_grow(Ring *ring);
PyObject *ring_remove(Ring *ring, Py_ssize_t index);
void ring_shrink(Ring *ring);
void ring_clear(Ring *ring);
int ring_visit(const Ring *ring, visitproc visit, void *arg);

/* Takes a new reference to `item`; -1 with MemoryError. */
static inline int
ring_push(Ring *ring, PyObject *item)
{
    if (ring->len == ring->cap && ring_grow(ring) < 0) {
        return -1;
    }
    ring->items[(ring->head + ring->len) & (ring->cap - 1)] = Py_NewRef(item);
    ring->len++;
    return 0;
}

/* The reference at the head becomes the caller's; the ring must not be empty. */
static inline PyObject *
ring_pop(Ring *ring)
{
    PyObject *item = ring->items[ring->head];
    ring->head = (ring->head + 1) & (ring->cap - 1);
    if (--ring->len == 0 && ring->cap > 64) {
        ring_shrink(ring);
    }
    return item;
}

typedef struct {
    PyObject_HEAD
    PyObject *node;
    PyObject *number;
    PyObject *creation;
    PyObject *process; /* borrowed; of a Pid: its process while it lives, or NULL */
    Py_hash_t hash;
} Identifier;

typedef struct {
    PyObject_HEAD
    Ring ordinary;
    Ring urgent;
    Py_ssize_t looked; /* how many of each ring a waiting receive has passed over */
    Py_ssize_t looked_urgent;
    PyObject *fresh; /* the reference marked last, or NULL */
    Py_ssize_t older; /* how many ordinary messages cannot carry it */
    Py_ssize_t limit;
} Mailbox;

typedef struct {
    PyObject_HEAD
    PyObject *links; /* each a dict, or NULL */
    PyObject *monitors;
    PyObject *watchers;
    long long last_unlink;
} RelationTables;

typedef struct {
    PyObject_HEAD
    PyObject *kind; /* the type of its processes */
    PyObject *node;
    PyObject *creation;
    PyObject *table; /* a dict: number to process */
    unsigned long long last_pid;
    unsigned long long last_ref;
} ProcessTable;

typedef struct RunQueue RunQueue;

typedef struct {
    PyObject_HEAD
    PyObject *coroutine;
    PyObject *scheduler;
    PyObject *context;
    PyObject *pid;
    PyObject *home;
    PyObject *parent;
    PyObject *label;
    PyObject *mailbox;
    PyObject *relations;
    PyObject *aliases;
    PyObject *exit_reason;
    PyObject *thrown;
    PyObject *fut_waiter;
    PyObject *cancel_message;
    PyObject *callbacks;
    PyObject *result;
    PyObject *exception;
    PyObject *timer;
    PyObject *urgent;
    PyObject *bound;
    PyObject *flow;
    double deadline;
    unsigned long long spent; /* its work, but for what is missing from `reductions` */
    int reductions;
    int cancel_requests;
    int patience;
    char parked;
    char over;
    char unusual;
    char dying;
    char trapping;
    char timed_out;
    char must_cancel;
    char holding; /* its end has to free more than its place in the table */
} TaskState;

struct RunQueue {
    PyObject_HEAD
    PyObject *loop;
    PyObject *current; /* the task that runs, or NULL */
    Ring ready;
    unsigned long long steps;
};

extern PyTypeObject PidType, RefType, MailboxType, TaskStateType, RunQueueType, ReceiveType, InitializerType,
    ProcessTableType, RelationTablesType;

/* What Python hands over in `connect` (module.c); NULL before. */
extern PyObject *park, *next_turn, *missing, *normal, *not_in_process, *union_type;
extern PyObject *relations_class, *down_class, *raise_exit, *send_slowly;
extern PyObject *current_tasks;     /* asyncio's dictionary, before Python 3.12 */
extern PyObject *swap_current_task, *current_task; /* asyncio's functions, since then */

enum { REDUCTIONS = 1000, PATIENCE = 3 };

/* The scheduler that runs on this thread, or NULL. */
extern _Thread_local RunQueue *running;

/* What `take` looks for. */
typedef struct {
    enum { ANY, INSTANCE, CARRIES, PREDICATE } kind;
    PyObject *what;
} Wanted;

/* Each gives a new reference; NULL without an exception means that there is no such message. */
PyObject *mailbox_take_first(Mailbox *box);
PyObject *mailbox_take(Mailbox *box, const Wanted *wanted);
PyObject *mailbox_take_new(Mailbox *box, const Wanted *wanted);
void mailbox_mark(Mailbox *box, PyObject *ref);
int wanted_from(PyObject *pattern, Wanted *wanted);

int state_waken(TaskState *state);
PyObject *state_make(PyTypeObject *type, PyObject *pid, PyObject *coroutine, PyObject *home, PyObject *context,
                     PyObject *parent);
PyObject *state_admit_by(TaskState *state, PyObject *key, PyObject *message);
PyObject *state_admit(TaskState *state, PyObject *message);
PyObject *state_related(TaskState *state, PyObject *ignored);
PyObject *state_ask(TaskState *state, PyObject *pid);
PyObject *state_watch(TaskState *state, PyObject *const *args, Py_ssize_t nargs);
PyObject *state_remove_monitor(TaskState *state, PyObject *ref);
PyObject *state_receive_down(TaskState *state, PyObject *const *args, Py_ssize_t nargs);
PyObject *state_deliver_alias(TaskState *state, PyObject *const *args, Py_ssize_t nargs);
int tell_watchers(TaskState *state);
PyObject *table_new_ref(ProcessTable *table, PyObject *ignored);
TaskState *table_find(ProcessTable *table, Identifier *pid);
int table_strike(ProcessTable *table, TaskState *process);

/* The exception that is set, taken; a new reference. */
PyObject *take_exception(void);

/* A borrowed reference; NULL with NotInProcess where no process runs. */
TaskState *current_state(void);

PyObject *native_current(PyObject *module, PyObject *ignored);
PyObject *native_acting(PyObject *module, PyObject *ignored);
PyObject *native_send(PyObject *module, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames);
PyObject *native_receive(PyObject *module, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames);

int identifiers_ready(void);
int messaging_ready(void);
int monitors_ready(void);
int receive_ready(void);
int process_ready(void);
int runqueue_ready(void);

#endif
