/* SPDX-License-Identifier: MIT */
/*
 * Entries of the escape hatches (hooks.md 3.8, hook_dl.h). Jumps, not calls, to the real
 * functions: they must find the caller's return address and stack arguments in place.
 */

	.macro	FUNCTION name
	.globl	\name
	.type	\name, @function
	.p2align 4
\name:
	.cfi_startproc
	endbr64
	.endm

	.macro	END name
	.cfi_endproc
	.size	\name, . - \name
	.endm

	.macro	PUSH reg
	pushq	%\reg
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset \reg, 0
	.endm

	.macro	POP reg
	popq	%\reg
	.cfi_adjust_cfa_offset -8
	.cfi_restore \reg
	.endm

	/* All argument registers, and alignment for a call */
	.macro	KEEP
	PUSH	rdi
	PUSH	rsi
	PUSH	rdx
	PUSH	rcx
	PUSH	r8
	PUSH	r9
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	.endm

	.macro	BACK
	addq	$8, %rsp
	.cfi_adjust_cfa_offset -8
	POP	r9
	POP	r8
	POP	rcx
	POP	rdx
	POP	rsi
	POP	rdi
	.endm

	.hidden	leash_real_dlsym, leash_real_dlvsym, leash_real_dlopen, leash_real_dlmopen
	.hidden	leash_real_syscall, leash_syscall_mediated, leash_syscall
	.hidden	leash_real_vfork, leash_real_clone, leash_proc_sharing
	.hidden	leash_dl_ask, leash_dl_ask_version, leash_dl_open, leash_dl_mopen, leash_dl_bind

	.text

/* void *dlsym(void *handle, const char *name) */
FUNCTION dlsym
	PUSH	rdx
	PUSH	rsi
	PUSH	rdi				/* three and the return address: aligned */
	xorl	%edx, %edx			/* no version */
	movq	24(%rsp), %rcx			/* return address */
	call	leash_dl_ask
	POP	rdi
	POP	rsi
	POP	rdx
	cmpq	$1, %rax			/* LEASH_DL_MISSING */
	jb	1f
	je	2f
	ret
2:	xorl	%eax, %eax
	ret
1:	jmp	*leash_real_dlsym(%rip)
END dlsym

/* void *dlvsym(void *handle, const char *name, const char *version) */
FUNCTION dlvsym
	PUSH	rdx
	PUSH	rsi
	PUSH	rdi
	movq	24(%rsp), %rcx
	call	leash_dl_ask_version
	POP	rdi
	POP	rsi
	POP	rdx
	cmpq	$1, %rax
	jb	1f
	je	2f
	ret
2:	xorl	%eax, %eax
	ret
1:	jmp	*leash_real_dlvsym(%rip)
END dlvsym

/* void *dlopen(const char *file, int mode) */
FUNCTION dlopen
	subq	$8, %rsp			/* alignment */
	.cfi_adjust_cfa_offset 8
	PUSH	rsi
	PUSH	rdi
	movq	%rsp, %rdi			/* struct leash_dl_open_args */
	call	leash_dl_open
	POP	rdi
	POP	rsi
	addq	$8, %rsp
	.cfi_adjust_cfa_offset -8
	jmp	*leash_real_dlopen(%rip)
END dlopen

/* void *dlmopen(Lmid_t ns, const char *file, int mode) */
FUNCTION dlmopen
	PUSH	rdx
	PUSH	rsi
	PUSH	rdi
	movq	%rsp, %rdi			/* struct leash_dl_mopen_args */
	call	leash_dl_mopen
	POP	rdi
	POP	rsi
	POP	rdx
	jmp	*leash_real_dlmopen(%rip)
END dlmopen

/*
 * long syscall(long nr, ...): leash_syscall() takes the same seven arguments in the same
 * places, so a mediated number is a jump as well. The kernel takes the number from 32 bits
 * of its register: 0x10000002a is connect() too.
 */
FUNCTION syscall
	movl	%edi, %eax
	cmpl	$512, %eax
	jae	2f				/* unsigned: negative ones too */
	shrl	$6, %eax
	leaq	leash_syscall_mediated(%rip), %r10
	movq	(%r10,%rax,8), %rax
	btq	%rdi, %rax			/* nr % 64 */
	jc	leash_syscall
1:	movq	leash_real_syscall(%rip), %r11
	testq	%r11, %r11
	jz	3f
	/* clone, vfork, clone3: a child that may share our memory (core/proc.h) */
	cmpl	$56, %edi
	je	4f
	cmpl	$58, %edi
	je	4f
	cmpl	$435, %edi
	je	4f
	jmp	*%r11
	/* x32's numbers are another ABI's connect(): with the bit, and 512 to 547 without it, which
	 * older kernels took for x32's. Negative ones are nobody's. */
2:	testl	%eax, %eax
	js	1b
	cmpl	$548, %eax
	jb	leash_syscall
	btl	$30, %eax
	jc	leash_syscall
	jmp	1b
	/* Before our constructor: bind, with all arguments kept. */
3:	KEEP
	call	leash_dl_bind
	BACK
	jmp	*leash_real_syscall(%rip)
4:	KEEP
	call	leash_proc_sharing
	BACK
	jmp	*leash_real_syscall(%rip)
END syscall

/* pid_t vfork(void): returns twice, so nothing of ours may be on the stack (core/proc.h) */
FUNCTION vfork
	KEEP
	call	leash_dl_bind
	call	leash_proc_sharing
	BACK
	jmp	*leash_real_vfork(%rip)
END vfork
	.globl	__vfork
	.set	__vfork, vfork

/* int clone(int (*fn)(void *), void *stack, int flags, void *arg, ...): more arguments may stand on
 * the stack */
FUNCTION clone
	KEEP
	call	leash_dl_bind
	call	leash_proc_sharing
	BACK
	jmp	*leash_real_clone(%rip)
END clone
	.globl	__clone
	.set	__clone, clone

	.section .note.GNU-stack, "", @progbits

	/* Ready for indirect branch tracking and shadow stacks: nothing returns elsewhere. */
	.section .note.gnu.property, "a"
	.p2align 3
	.long	4, 16, 5			/* name size, descriptor size, NT_GNU_PROPERTY_TYPE_0 */
	.asciz	"GNU"
	.long	0xc0000002, 4, 3, 0		/* GNU_PROPERTY_X86_FEATURE_1_AND: IBT, SHSTK */
