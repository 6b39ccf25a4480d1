/* The way from a call of the program to what answers it, without disturbing the call: every register
   that carries an argument is kept, and the last step is a jump, so that the callee sees the
   program's own return address (the loader looks at it to find a library's search path). */

#define KEEP \
    pushq %rax; pushq %rdi; pushq %rsi; pushq %rdx; pushq %rcx; pushq %r8; pushq %r9; pushq %r10; \
    subq $128, %rsp; \
    movups %xmm0, (%rsp); movups %xmm1, 16(%rsp); movups %xmm2, 32(%rsp); movups %xmm3, 48(%rsp); \
    movups %xmm4, 64(%rsp); movups %xmm5, 80(%rsp); movups %xmm6, 96(%rsp); movups %xmm7, 112(%rsp)
#define RESTORE \
    movups (%rsp), %xmm0; movups 16(%rsp), %xmm1; movups 32(%rsp), %xmm2; movups 48(%rsp), %xmm3; \
    movups 64(%rsp), %xmm4; movups 80(%rsp), %xmm5; movups 96(%rsp), %xmm6; movups 112(%rsp), %xmm7; \
    addq $128, %rsp; \
    popq %r10; popq %r9; popq %r8; popq %rcx; popq %rdx; popq %rsi; popq %rdi; popq %rax

    .text
/* The first call of any export: its number is on the stack. */
    .globl tessera_guard_first_call
    .hidden tessera_guard_first_call
    .type tessera_guard_first_call, @function
tessera_guard_first_call:
    KEEP
    movq 192(%rsp), %rdi
    call tessera_guard_resolve
    movq %rax, %r11
    RESTORE
    addq $8, %rsp
    jmp *%r11
    .size tessera_guard_first_call, .-tessera_guard_first_call

/* dlopen(name, flags), dlsym(handle, name): an answer of ours, or on to the loader's own. */
.macro INTERPOSE name, answer, next
    .globl \name
    .type \name, @function
\name:
    endbr64
    subq $8, %rsp
    KEEP
    call \answer
    movq %rax, %r11
    RESTORE
    addq $8, %rsp
    testq %r11, %r11
    jz 1f
    movq %r11, %rax
    ret
1:  jmp *\next(%rip)
    .size \name, .-\name
.endm

    INTERPOSE dlopen, tessera_guard_dlopen, tessera_guard_next_dlopen
    INTERPOSE dlsym, tessera_guard_dlsym, tessera_guard_next_dlsym

    .section .note.GNU-stack,"",@progbits
